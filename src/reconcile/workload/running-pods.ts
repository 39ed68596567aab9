import { KINDS } from '../../workloads/kinds.ts';
import { isRolledOut } from '../../workloads/rollout.ts';
import type { Pod, Workload } from '../../workloads/workload.ts';
import type { WorkloadClient } from '../ports.ts';
import { areWorthKeeping } from '../memory/kept-pods.ts';
import type { WorkloadMemory } from '../memory/workload-memory.ts';

interface RunningPodsDeps {
  readonly client: Pick<WorkloadClient, 'listPods'>;
  readonly memory: Pick<WorkloadMemory, 'runningPods'>;
}

/**
 * The pods that show which digests a workload runs; none while it rolls out, because they may be of an older template.
 * With `mayBeOld`, as they were listed before: a long queue of workloads that wait for their turn costs no requests.
 */
export async function findRunningPods(
  { client, memory }: RunningPodsDeps,
  { workload, mayBeOld }: { readonly workload: Workload; readonly mayBeOld: boolean },
  signal: AbortSignal,
): Promise<readonly Pod[]> {
  if (KINDS[workload.kind].rollsOut && !isRolledOut(workload)) {
    memory.runningPods = undefined;
    return [];
  }
  const { generation } = workload.rollout;
  if (mayBeOld && memory.runningPods?.generation === generation) {
    return memory.runningPods.pods;
  }
  const pods = await client.listPods(workload, signal);
  memory.runningPods = areWorthKeeping(pods) ? { generation, pods } : undefined;
  return pods;
}
