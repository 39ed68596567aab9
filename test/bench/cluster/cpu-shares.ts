import type { Registry } from '../../support/registry.ts';
import type { RunningProgram } from '../../support/processes.ts';
import { type CpuTime, readCpuTime } from '../cpu-time.ts';
import type { BenchCluster } from './bench-cluster.ts';

/** CPU time by who used it, in milliseconds. */
export interface CpuShares {
  readonly apiServer: number;
  /** etcd, the controllers of Kubernetes and its scheduler. */
  readonly controlPlane: number;
  readonly registries: number;
  readonly engines: number;
  readonly controller: number;
}

export interface Programs {
  readonly cluster: BenchCluster;
  readonly registries: readonly Registry[];
  /** Whose children the engines are, which have ended; undefined where none are counted. */
  readonly parentPid?: number | undefined;
  /** Undefined where it does not run. */
  readonly controller?: RunningProgram;
}

const NONE: CpuTime = { ownMs: 0, childrenMs: 0 };

async function sumOwn(programs: readonly RunningProgram[]): Promise<number> {
  const times = await Promise.all(programs.map(({ pid }) => readCpuTime(pid)));
  return times.reduce((sum, { ownMs }) => sum + ownMs, 0);
}

/** What each has used since it began. */
export async function readCpuShares(programs: Programs): Promise<CpuShares> {
  const { cluster, registries, parentPid, controller } = programs;
  const { etcd, apiServer, controllerManager, scheduler } = cluster.controlPlane;
  const parent = parentPid === undefined ? NONE : await readCpuTime(parentPid);
  return {
    apiServer: await sumOwn([apiServer]),
    controlPlane: await sumOwn([etcd, controllerManager, scheduler]),
    registries: await sumOwn(registries.map(({ program }) => program)),
    engines: parent.childrenMs,
    controller: controller ? await sumOwn([controller]) : 0,
  };
}

function combine(one: CpuShares, other: CpuShares, work: (one: number, other: number) => number): CpuShares {
  return {
    apiServer: work(one.apiServer, other.apiServer),
    controlPlane: work(one.controlPlane, other.controlPlane),
    registries: work(one.registries, other.registries),
    engines: work(one.engines, other.engines),
    controller: work(one.controller, other.controller),
  };
}

export function subtractShares(after: CpuShares, before: CpuShares): CpuShares {
  return combine(after, before, (one, other) => one - other);
}

export function addShares(one: CpuShares, other: CpuShares): CpuShares {
  return combine(one, other, (mine, more) => mine + more);
}
