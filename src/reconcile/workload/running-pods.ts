import { KINDS, formatWorkloadKey } from '../../workloads/kinds.ts';
import { isRolledOut } from '../../workloads/rollout.ts';
import type { Pod, Workload } from '../../workloads/workload.ts';
import type { WorkloadClient } from '../ports.ts';

interface KnownPods {
  readonly uid: string;
  readonly generation: number;
  readonly pods: readonly Pod[];
}

/**
 * The pods that show which digests a workload runs. Those of workloads that wait for their turn are remembered, so
 * that a long queue of them costs no requests.
 */
export class RunningPods {
  readonly #client: Pick<WorkloadClient, 'listPods'>;
  readonly #known = new Map<string, KnownPods>();

  constructor(client: Pick<WorkloadClient, 'listPods'>) {
    this.#client = client;
  }

  /** Pods of a workload that is rolled out; none while it rolls out, because they may be of an older template. */
  async find(
    workload: Workload,
    options: { mayBeOld: boolean },
    signal: AbortSignal,
  ): Promise<readonly Pod[]> {
    const key = formatWorkloadKey(workload);
    if (KINDS[workload.kind].rollsOut && !isRolledOut(workload)) {
      this.#known.delete(key);
      return [];
    }
    const known = this.#known.get(key);
    const { uid, rollout } = workload;
    if (options.mayBeOld && known?.uid === uid && known.generation === rollout.generation) {
      return known.pods;
    }
    const pods = await this.#client.listPods(workload, signal);
    this.#known.set(key, { uid, generation: rollout.generation, pods });
    return pods;
  }

  forget(key: string): void {
    this.#known.delete(key);
  }
}
