import type { Pod } from '../../workloads/workload.ts';

/** Pods of a workload, and whether they are what is watched: they may be a moment older than it. */
export interface LookedUpPods {
  readonly pods: readonly Pod[];
  readonly areWatched: boolean;
}

export const NO_PODS: LookedUpPods = { pods: [], areWatched: false };
