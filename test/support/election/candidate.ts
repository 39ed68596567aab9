/**
 * A candidate for a Lease with the controller's own election and connection, the counterpart of
 * test/tools/election-candidate: counts in a ConfigMap as long as it leads, and writes the same lines.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { systemClock } from '../../../src/clock.ts';
import { createConnection } from '../../../src/kubernetes/connection/connection.ts';
import { createLeaderElection } from '../../../src/kubernetes/election/leader-election.ts';

const WRITE_EVERY_MS = 100;
const WRITE_TIMEOUT_MS = 2_000;

interface FenceMap {
  readonly metadata: object;
  readonly data?: { readonly leader?: string; readonly term?: string; readonly count?: string };
}

const { values } = parseArgs({
  options: {
    kubeconfig: { type: 'string', default: '' },
    namespace: { type: 'string', default: '' },
    lease: { type: 'string', default: '' },
    fence: { type: 'string', default: '' },
    identity: { type: 'string', default: '' },
  },
});
const { namespace, identity } = values;
const path = `/api/v1/namespaces/${namespace}/configmaps/${values.fence}`;

/** Of the machine, as every process on it sees it. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

function tell(event: string, facts: object = {}): void {
  const atMs = monotonicMs();
  console.log(JSON.stringify({ event, fromMs: atMs, toMs: atMs, ...facts }));
}

const connection = await createConnection({
  kubeconfigPath: values.kubeconfig,
  environment: {},
  userAgent: 'election-candidate',
});
const stop = new AbortController();
let working: Promise<void> = Promise.resolve();
const election = createLeaderElection({
  connection,
  namespace,
  name: values.lease,
  memoKey: 'memo',
  identity,
  clock: systemClock,
  random: Math.random,
  log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  onStartedLeading: (signal) => {
    tell('leading');
    working = lead(AbortSignal.any([signal, stop.signal]));
  },
  onLost: () => {
    tell('stopped');
    process.exit(1);
  },
});

function nextTerm({ data }: FenceMap): number {
  return Number(data?.term ?? 0) + 1;
}

/** One count; undefined when nothing may be written now, or somebody else has a later term. */
async function count(fence: FenceMap, term: number): Promise<FenceMap | undefined> {
  const fromMs = monotonicMs();
  const mayWrite = election.mayWrite();
  const toMs = monotonicMs();
  if (!mayWrite) {
    return undefined;
  }
  tell('write', { fromMs, toMs, term });
  const next = Number(fence.data?.count ?? 0) + 1;
  const written = await connection.request<FenceMap>({
    method: 'PUT',
    path,
    body: { ...fence, data: { leader: identity, term: String(term), count: String(next) } },
    timeoutMs: WRITE_TIMEOUT_MS,
    isUrgent: true,
  });
  tell('written', { fromMs, term, count: next });
  return written;
}

/** Every write carries the resource version of the one before it, and the first takes a new term. */
async function lead(signal: AbortSignal): Promise<void> {
  let fence: FenceMap | undefined;
  let term: number | undefined;
  for (; !signal.aborted; await sleep(WRITE_EVERY_MS)) {
    try {
      fence ??= await connection.request<FenceMap>({ method: 'GET', path, signal, isUrgent: true });
      if (term !== undefined && fence.data?.leader !== identity) {
        tell('superseded', { term });
        term = undefined;
      }
      const inForce: number = term ?? nextTerm(fence);
      fence = await count(fence, inForce);
      term = fence && inForce;
    } catch (error) {
      fence = undefined;
      tell('failed', { error: String(error) });
    }
  }
}

process.once('SIGTERM', () => {
  stop.abort();
  void working.then(() => election.release()).then(() => process.exit(0));
});
tell('waiting');
await election.run(new AbortController().signal);
