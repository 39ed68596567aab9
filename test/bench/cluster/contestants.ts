import { changeSettings } from '../../support/controller.ts';
import { type AuditLine, readAuditLog } from '../../support/audit.ts';
import { createKube } from '../../support/kube.ts';
import type { Workload } from '../../support/objects.ts';
import type { RunningProgram } from '../../support/processes.ts';
import type { Registry } from '../../support/registry.ts';
import type { SampleImage } from '../../support/seed-images.ts';
import { connectAsServiceAccount } from '../../support/service-account.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { Laboratory } from '../laboratory.ts';
import { copyWithXargs } from '../plain-copies.ts';
import { buildBundle, SERVICE_ACCOUNT, startBundle } from '../scale/bundle.ts';
import type { BenchCluster } from './bench-cluster.ts';
import { type CpuShares, readCpuShares, subtractShares } from './cpu-shares.ts';
import { patchPlainly, type RolloutTime, watchRollouts } from './workloads.ts';

const COPIES_DEADLINE_MS = 300_000;

/** What both contestants begin with. */
export interface Start {
  readonly cluster: BenchCluster;
  readonly workloads: readonly Workload[];
  readonly images: readonly SampleImage[];
  /** As images name it. */
  readonly sourceHost: string;
  readonly backupHost: string;
  /** Both, without what may stand in front of them. */
  readonly registries: readonly Registry[];
}

export interface PlainCopies {
  readonly wallMs: number;
  readonly cpuMs: CpuShares;
}

/** With xargs. */
export async function copyPlainly(
  lab: Pick<Laboratory, 'tools' | 'processes'>,
  start: Start,
): Promise<PlainCopies> {
  const programs = { ...start, parentPid: process.pid };
  const before = await readCpuShares(programs);
  const { wallMs } = await copyWithXargs(lab, start);
  return { wallMs, cpuMs: subtractShares(await readCpuShares(programs), before) };
}

export interface PlainRollouts {
  readonly wallMs: number;
  readonly cpuMs: CpuShares;
  readonly times: readonly RolloutTime[];
}

/** The same patches by a client that knows beforehand what to write, as the same ServiceAccount. */
export async function rollOutPlainly(start: Start): Promise<PlainRollouts> {
  const { cluster, backupHost } = start;
  const kube = createKube(await connectAsServiceAccount(cluster.deps, SERVICE_ACCOUNT));
  const watch = watchRollouts(cluster.deps.kube, backupHost);
  try {
    const before = await readCpuShares(start);
    const startedAtMs = performance.now();
    await patchPlainly(kube, start);
    await watch.all(new AbortController().signal);
    const wallMs = performance.now() - startedAtMs;
    return { wallMs, times: watch.times, cpuMs: subtractShares(await readCpuShares(start), before) };
  } finally {
    await watch.stop();
    kube.close();
  }
}

export interface ControllerRun {
  /** From the first request of the controller until the last copy was proven. */
  readonly copiesMs: number;
  /** From the first request, too; undefined when nobody waited for it. */
  readonly rolledOutMs: number | undefined;
  readonly times: readonly RolloutTime[];
  /** Until the last copy was proven. */
  readonly copiesCpuMs: CpuShares;
  /** Until nobody waited any more. */
  readonly cpuMs: CpuShares;
  readonly requests: readonly AuditLine[];
}

export interface ControllerOrder {
  /** Besides those that every run needs. */
  readonly settings: Readonly<Record<string, string>>;
  readonly until: 'copied' | 'rolled out';
}

/** The controller, with an empty backup. */
export async function runController(start: Start, order: ControllerOrder): Promise<ControllerRun> {
  const { cluster, sourceHost, backupHost, images } = start;
  const { deps } = cluster;
  await changeSettings(deps.kube, {
    REGISTRY_PREFIX: `${backupHost}/backup`,
    INSECURE_REGISTRIES: `${sourceHost},${backupHost}`,
    ...order.settings,
  });
  const bundle = await buildBundle(deps);
  const watch = watchRollouts(deps.kube, backupHost);
  const since = new Date();
  try {
    const before = await readCpuShares(start);
    const { program } = await startBundle(deps, bundle);
    const programs = { ...start, parentPid: program.pid, controller: program };
    const tooEarly = abortAtEnd(program);
    const copiedAtMs = await waitForCopies(program, images.length, tooEarly);
    const copiesCpuMs = subtractShares(await readCpuShares(programs), before);
    if (order.until === 'rolled out') {
      await watch.all(tooEarly);
    }
    const cpuMs = subtractShares(await readCpuShares(programs), before);
    const requests = await readAuditLog(cluster.controlPlane.auditLogFile, { since });
    await program.stop();
    const times = watch.times;
    const firstAtMs = Math.min(
      ...requests.map(({ requestReceivedTimestamp }) => Date.parse(requestReceivedTimestamp)),
    );
    return {
      copiesMs: copiedAtMs - firstAtMs,
      rolledOutMs:
        order.until === 'rolled out'
          ? Math.max(...times.map(({ doneAtMs }) => doneAtMs)) - firstAtMs
          : undefined,
      times,
      copiesCpuMs,
      cpuMs,
      requests,
    };
  } finally {
    await watch.stop();
  }
}

function abortAtEnd(program: RunningProgram): AbortSignal {
  const ended = new AbortController();
  void program.ended.then((outcome) => ended.abort(new Error(`the controller ended with ${outcome}`)));
  return ended.signal;
}

/** When the last copy was proven, as the log of the controller has it. */
async function waitForCopies(program: RunningProgram, count: number, signal: AbortSignal): Promise<number> {
  return waitFor(
    async () => {
      const lines = (await program.log()).split('\n').filter((line) => line.includes('"copy verified"'));
      if (lines.length < count) {
        return undefined;
      }
      const times = lines.map((line) => Date.parse((JSON.parse(line) as { readonly time: string }).time));
      return Math.max(...times);
    },
    { what: `${count} copies`, deadlineMs: COPIES_DEADLINE_MS, pollMs: 200, signal },
  );
}
