import { isRolledOut } from '../../workloads/rollout.ts';
import type { Pod, Workload } from '../../workloads/workload.ts';
import type { WorkloadClient } from '../ports.ts';
import { areWorthKeeping } from '../memory/kept-pods.ts';
import type { WorkloadMemory } from '../memory/workload-memory.ts';

/** A rollout changes its status many times a second; a pull takes longer to fail. */
const LOOK_EVERY_MS = 2_000;

interface UnfinishedPodsDeps {
  readonly client: Pick<WorkloadClient, 'listPods'>;
  readonly memory: Pick<WorkloadMemory, 'unfinishedPods'>;
  readonly nowMs: () => number;
}

/**
 * The pods that show why a workload is not rolled out; none of one that is. With `mayBeOld`, as they were up to two
 * seconds ago.
 */
export async function findUnfinishedPods(
  { client, memory, nowMs }: UnfinishedPodsDeps,
  { workload, mayBeOld }: { readonly workload: Workload; readonly mayBeOld: boolean },
  signal: AbortSignal,
): Promise<readonly Pod[]> {
  if (isRolledOut(workload)) {
    memory.unfinishedPods = undefined;
    return [];
  }
  const known = memory.unfinishedPods;
  const atMs = nowMs();
  if (mayBeOld && known && atMs - known.atMs < LOOK_EVERY_MS) {
    return known.pods;
  }
  const pods = await client.listPods(workload, signal);
  memory.unfinishedPods = areWorthKeeping(pods) ? { atMs, pods } : undefined;
  return pods;
}
