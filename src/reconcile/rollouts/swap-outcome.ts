import { type SwapRecord, findSwappedSlots } from '../../workloads/record.ts';
import { isRolledOut, runsTemplate } from '../../workloads/rollout.ts';
import type { Workload } from '../../workloads/workload.ts';

/** What has become of the last swap of a workload, as far as the workload shows it. */
export type SwapOutcome = 'rolling out' | 'succeeded' | 'undone';

/** Undefined for a workload that was never swapped, or changed by others since. */
export function findSwapOutcome(workload: Workload, record: SwapRecord): SwapOutcome | undefined {
  if (findSwappedSlots(workload.slots, record).length === 0) {
    return record.hold && record.before.size === 0 ? 'undone' : undefined;
  }
  if (!isRolledOut(workload)) {
    return 'rolling out';
  }
  return runsTemplate(workload) ? 'succeeded' : undefined;
}
