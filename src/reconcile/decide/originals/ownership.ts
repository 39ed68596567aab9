import { FIELD_MANAGER, meetsConflicts } from '../../../workloads/image-owner.ts';
import type { SwapRecord } from '../../../workloads/record.ts';
import type { Workload } from '../../../workloads/workload.ts';
import { findOriginal } from '../slots/slot-plan.ts';

/**
 * The field manager that a swap takes an image from and that would meet a conflict at its next apply. When nobody
 * but us has written the images since the last swap, the one from then.
 */
export function findAppliedBy({ imageOwners = [] }: Workload, record: SwapRecord): string | undefined {
  const others = imageOwners.filter(({ manager }) => manager !== FIELD_MANAGER);
  return others.length === 0 ? record.appliedBy : others.find(meetsConflicts)?.manager;
}

/**
 * True when the images should not belong to us any more: their manager would meet a conflict, or what stands there is
 * what the user wrote, put back by us. Elsewhere they stay ours, because GitOps tools are told to look for that.
 */
export function isReleaseDue(workload: Workload, record: SwapRecord): boolean {
  const isSwapped = workload.slots.some((slot) => findOriginal(slot, record));
  return workload.ownFieldsAt !== undefined && (record.appliedBy !== undefined || !isSwapped);
}
