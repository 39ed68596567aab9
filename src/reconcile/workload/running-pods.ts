import { KINDS } from '../../workloads/kinds.ts';
import { isRolledOut } from '../../workloads/rollout.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { PodStore, WorkloadClient } from '../ports.ts';
import { areWorthKeeping } from '../memory/kept-pods.ts';
import type { WorkloadMemory } from '../memory/workload-memory.ts';
import { findWatchedPods } from './watched-pods.ts';
import { type LookedUpPods, NO_PODS } from './looked-up-pods.ts';

interface RunningPodsDeps {
  readonly pods: PodStore;
  readonly client: Pick<WorkloadClient, 'listPods'>;
  readonly memory: Pick<WorkloadMemory, 'runningPods'>;
}

/**
 * The pods that show which digests a workload runs; none while it rolls out, because they may be of an older template.
 * Where they have to be listed, with `mayBeOld` as they were listed before: a long queue of workloads that wait for their turn
 * costs no requests.
 */
export async function findRunningPods(
  deps: RunningPodsDeps,
  { workload, mayBeOld }: { readonly workload: Workload; readonly mayBeOld: boolean },
  signal: AbortSignal,
): Promise<LookedUpPods> {
  const { client, memory } = deps;
  if (KINDS[workload.kind].rollsOut && !isRolledOut(workload)) {
    memory.runningPods = undefined;
    return NO_PODS;
  }
  const watched = findWatchedPods(deps, workload);
  if (watched) {
    memory.runningPods = undefined;
    return { pods: watched, areWatched: true };
  }
  const { generation } = workload.rollout;
  if (mayBeOld && memory.runningPods?.generation === generation) {
    return { pods: memory.runningPods.pods, areWatched: false };
  }
  const pods = await client.listPods(workload, signal);
  memory.runningPods = areWorthKeeping(pods) ? { generation, pods } : undefined;
  return { pods, areWatched: false };
}
