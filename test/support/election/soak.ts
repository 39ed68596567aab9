/**
 * Candidates of both kinds, the controller's election and client-go's, for one Lease on a real API server, while
 * things happen to them. What they did is read from their own logs: see `findDoubleLeaders`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { Tools } from '../../tools/build.ts';
import type { ApiServer } from '../control-plane.ts';
import type { Processes, RunningProgram } from '../processes.ts';
import { waitFor } from '../wait-for.ts';
import {
  type CandidateLine,
  findDoubleLeaders,
  listTerms,
  parseCandidateLog,
  type Term,
} from './candidate-log.ts';

const NAMESPACE = 'default';
const LEASE = 'mixed-election';
const FENCE = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  namespace: NAMESPACE,
  name: 'mixed-election-fence',
} as const;
/** Longer than a lease, so that somebody else leads when it goes on. */
const PAUSE_MS = 18_000;
/** A pause that a leader survives. */
const SHORT_PAUSE_MS = 4_000;

/** Leaders write ten times a second. */
const RECENT_MS = 1_000;

export const ELECTION_STEPS = [
  'clean stop',
  'kill -9',
  'pause',
  'short pause',
  'API server restart',
] as const;
export type ElectionStep = (typeof ELECTION_STEPS)[number];
/** After the end of the old leader, while at least one of our candidates waits: client-go's own take 4.4 s. */
const LONGEST_HAND_OVER_MS: Readonly<Partial<Record<ElectionStep, number>>> = {
  'clean stop': 3_000,
  'kill -9': 20_000,
};

type CandidateKind = 'ours' | 'client-go';

/** One step, and how the leadership went over. */
export interface HandOver {
  readonly step: ElectionStep;
  readonly from: string;
  readonly to: string;
  /** From the end of the old leader to the first write of the next one; undefined when there was no end. */
  readonly tookMs: number | undefined;
}

export interface ElectionSoak {
  /** @throws {Error} when nobody leads afterwards. */
  take(step: ElectionStep): Promise<HandOver>;
  /** Stops everybody and says what was wrong, if anything. */
  finish(): Promise<{ readonly terms: readonly Term[]; readonly wrong: readonly string[] }>;
}

export interface ElectionSoakOptions {
  readonly tools: Tools;
  readonly processes: Processes;
  readonly apiServer: ApiServer;
}

interface Candidate {
  readonly kind: CandidateKind;
  readonly identity: string;
  readonly program: RunningProgram;
}

/** Of others the leader survives, or loses the Lease in its own time. */
const STEPS_THAT_END_IT: ReadonlySet<ElectionStep> = new Set(['clean stop', 'kill -9']);

function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

class Soak implements ElectionSoak {
  readonly #options: ElectionSoakOptions;
  readonly #all: Candidate[] = [];
  #started = 0;

  constructor(options: ElectionSoakOptions) {
    this.#options = options;
  }

  async start(kinds: readonly CandidateKind[]): Promise<void> {
    const { kube } = this.#options.apiServer;
    await kube.apply({ ...FENCE, metadata: { namespace: NAMESPACE, name: FENCE.name } });
    await Promise.all(kinds.map((kind) => this.#add(kind)));
    await this.#waitForLeader(0);
  }

  async take(step: ElectionStep): Promise<HandOver> {
    const leader = await this.#waitForLeader(0);
    await this.#happen(step, leader);
    const endedAtMs = monotonicMs();
    const next = await this.#waitForLeader(endedAtMs);
    const tookMs = STEPS_THAT_END_IT.has(step) ? await this.#measureHandOver(endedAtMs) : undefined;
    await this.#replaceEnded();
    return { step, from: leader.identity, to: next.identity, tookMs };
  }

  async finish(): Promise<{ terms: readonly Term[]; wrong: readonly string[] }> {
    await Promise.all(this.#all.map(({ program }) => program.stop()));
    const logs = await this.#readLogs();
    return { terms: listTerms(logs), wrong: findDoubleLeaders(logs) };
  }

  async #happen(step: ElectionStep, { program }: Candidate): Promise<void> {
    switch (step) {
      case 'clean stop':
        await program.stop();
        break;
      case 'kill -9':
        program.kill('SIGKILL');
        await program.ended;
        break;
      case 'pause':
      case 'short pause':
        program.kill('SIGSTOP');
        await sleep(step === 'pause' ? PAUSE_MS : SHORT_PAUSE_MS);
        program.kill('SIGCONT');
        break;
      case 'API server restart': {
        const { apiServer } = this.#options.apiServer;
        await apiServer.stop();
        await apiServer.start();
      }
    }
  }

  async #add(kind: CandidateKind): Promise<void> {
    const { tools, processes, apiServer } = this.#options;
    this.#started += 1;
    const identity = `${kind}-${this.#started}`;
    const flags = [
      `--kubeconfig=${apiServer.kubeconfigFile}`,
      `--namespace=${NAMESPACE}`,
      `--lease=${LEASE}`,
      `--fence=${FENCE.name}`,
      `--identity=${identity}`,
    ];
    const ours = { command: process.execPath, args: [candidateFile(), ...flags] };
    const theirs = { command: tools['election-candidate'], args: flags };
    const program = await processes.run({
      name: identity,
      ...(kind === 'ours' ? ours : theirs),
      environment: { PATH: process.env['PATH'] },
      graceMs: 30_000,
    });
    this.#all.push({ kind, identity, program });
  }

  /** Whoever has lost the Lease has ended, as the controller does; a Deployment would start it again. */
  async #replaceEnded(): Promise<void> {
    const alive = this.#all.filter(({ program }) => program.pid !== undefined);
    const missing = (['ours', 'client-go'] as const).flatMap((kind) =>
      Array.from({ length: 2 - alive.filter((candidate) => candidate.kind === kind).length }, () => kind),
    );
    await Promise.all(missing.map((kind) => this.#add(kind)));
  }

  /** The candidate that has written after the given time. */
  async #waitForLeader(sinceMs: number): Promise<Candidate> {
    return waitFor(
      async () => {
        const logs = await this.#readLogs();
        const last = listWritten(logs).at(-1);
        if (!last || last.toMs <= Math.max(sinceMs, monotonicMs() - RECENT_MS)) {
          throw new Error(this.#describe(logs));
        }
        return this.#all.find(({ identity }) => identity === last.identity);
      },
      { what: 'somebody to lead' },
    );
  }

  #describe(logs: ReadonlyMap<string, readonly CandidateLine[]>): string {
    const alive = this.#all.filter(({ program }) => program.pid !== undefined);
    const ends = alive.map(({ identity }) => `${identity}: ${JSON.stringify(logs.get(identity)?.at(-1))}`);
    return `at ${monotonicMs()} ${ends.join(', ')}`;
  }

  async #measureHandOver(endedAtMs: number): Promise<number> {
    const next = listWritten(await this.#readLogs()).find(({ toMs }) => toMs > endedAtMs);
    return (next?.toMs ?? Infinity) - endedAtMs;
  }

  async #readLogs(): Promise<ReadonlyMap<string, readonly CandidateLine[]>> {
    const entries = this.#all.map(
      async ({ identity, program }) => [identity, parseCandidateLog(await program.log())] as const,
    );
    return new Map(await Promise.all(entries));
  }
}

function candidateFile(): string {
  return fileURLToPath(import.meta.resolve('./candidate.ts'));
}

function listWritten(
  logs: ReadonlyMap<string, readonly CandidateLine[]>,
): readonly (CandidateLine & { readonly identity: string })[] {
  return [...logs]
    .flatMap(([identity, lines]) => lines.map((line) => ({ ...line, identity })))
    .filter(({ event }) => event === 'written')
    .toSorted((one, other) => one.toMs - other.toMs);
}

export function isLate({ step, tookMs = 0 }: HandOver): boolean {
  return tookMs > (LONGEST_HAND_OVER_MS[step] ?? Infinity);
}

/** Returns when somebody leads. */
export async function startElectionSoak(options: ElectionSoakOptions): Promise<ElectionSoak> {
  const soak = new Soak(options);
  await soak.start(['ours', 'client-go', 'ours', 'client-go']);
  return soak;
}
