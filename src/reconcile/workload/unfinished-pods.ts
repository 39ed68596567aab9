import { isRolledOut } from '../../workloads/rollout.ts';
import type { Pod, Workload } from '../../workloads/workload.ts';
import type { PodStore, WorkloadClient } from '../ports.ts';
import { areWorthKeeping } from '../memory/kept-pods.ts';
import type { WorkloadMemory } from '../memory/workload-memory.ts';
import { findWatchedPods } from './watched-pods.ts';
import { type LookedUpPods, NO_PODS } from './looked-up-pods.ts';

/** A rollout changes its status many times a second; a pull takes longer to fail. */
const LOOK_EVERY_MS = 2_000;
/** Either of two watches is a moment behind the other, and no request is made for that. */
const CATCH_UP_MS = 10_000;

interface UnfinishedPodsDeps {
  readonly pods: PodStore;
  readonly client: Pick<WorkloadClient, 'listPods'>;
  readonly memory: Pick<WorkloadMemory, 'unfinishedPods' | 'unseenPodsSinceMs'>;
  readonly nowMs: () => number;
}

/** As they are now; `areOld` where they are as they were up to two seconds ago. */
interface UnfinishedPods extends LookedUpPods {
  readonly areOld: boolean;
}

/** There was no room for some of its pods, or their watch is in trouble. */
function areUnseenForLong(
  { memory, nowMs }: Pick<UnfinishedPodsDeps, 'memory' | 'nowMs'>,
  { rollout }: Workload,
  watched: readonly Pod[],
): boolean {
  const living = watched.filter(({ leaving }) => leaving !== true).length;
  memory.unseenPodsSinceMs = living < rollout.current ? (memory.unseenPodsSinceMs ?? nowMs()) : undefined;
  return memory.unseenPodsSinceMs !== undefined && nowMs() - memory.unseenPodsSinceMs >= CATCH_UP_MS;
}

/**
 * The pods that show why a workload is not rolled out; none of one that is. Where they have to be listed, with `mayBeOld` as
 * they were up to two seconds ago.
 */
export async function findUnfinishedPods(
  deps: UnfinishedPodsDeps,
  { workload, mayBeOld }: { readonly workload: Workload; readonly mayBeOld: boolean },
  signal: AbortSignal,
): Promise<UnfinishedPods> {
  const { client, memory, nowMs } = deps;
  if (isRolledOut(workload)) {
    memory.unfinishedPods = undefined;
    memory.unseenPodsSinceMs = undefined;
    return { ...NO_PODS, areOld: false };
  }
  const watched = findWatchedPods(deps, workload);
  if (watched && !areUnseenForLong(deps, workload, watched)) {
    memory.unfinishedPods = undefined;
    return { pods: watched, areWatched: true, areOld: false };
  }
  const known = memory.unfinishedPods;
  const atMs = nowMs();
  if (mayBeOld && known && atMs - known.atMs < LOOK_EVERY_MS) {
    return { pods: known.pods, areWatched: false, areOld: true };
  }
  const pods = await client.listPods(workload, signal);
  memory.unfinishedPods = areWorthKeeping(pods) ? { atMs, pods } : undefined;
  return { pods, areWatched: false, areOld: false };
}
