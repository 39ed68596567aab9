import { KINDS } from '../../workloads/kinds.ts';
import { isRolledOut } from '../../workloads/rollout.ts';
import type { Workload } from '../../workloads/workload.ts';

/**
 * Which workloads have rolled out since they were last looked at: a quick rollout begins and ends between two looks.
 */
export class FinishedRollouts {
  /** By key, the uid of a workload that was seen to roll out. */
  readonly #seen = new Map<string, string>();

  /** To be told of every change of a workload, and with undefined of its end. */
  observe(key: string, workload: Workload | undefined): void {
    if (!workload) {
      this.#seen.delete(key);
    } else if (KINDS[workload.kind].rollsOut && !isRolledOut(workload)) {
      this.#seen.set(key, workload.uid);
    }
  }

  /** True once for what has rolled out. */
  take(key: string, workload: Workload): boolean {
    const isOver = isRolledOut(workload) && this.#seen.get(key) === workload.uid;
    if (isOver) {
      this.#seen.delete(key);
    }
    return isOver;
  }
}
