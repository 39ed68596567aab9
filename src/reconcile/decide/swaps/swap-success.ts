import { KINDS } from '../../../workloads/kinds.ts';
import { findSwappedSlots, slotKey } from '../../../workloads/record.ts';
import { isRolledOut, runsTemplate } from '../../../workloads/rollout.ts';
import { type PlannedSlot, findOther } from '../slots/planned-slot.ts';
import type { SwapFacts } from './swap-failure.ts';
import { type FlightFacts, LONGEST_ROLLOUT_MS } from './swap-in-flight.ts';

/**
 * True for a swap that is rolled out, and of which only its pods can tell whether it has succeeded: that the workload is
 * rolled out does not say what runs. One that is long over has run until now.
 */
export function isToBeSeen({ workload, record, succeededAtMs, nowMs }: FlightFacts): boolean {
  return (
    succeededAtMs === undefined &&
    KINDS[workload.kind].rollsOut &&
    isRolledOut(workload) &&
    nowMs - record.swappedAtMs < LONGEST_ROLLOUT_MS &&
    findSwappedSlots(workload.slots, record).length > 0
  );
}

/** Of an image volume, no pod tells what it has. */
function isSeen({ plan, copy }: PlannedSlot): boolean {
  if (plan.is !== 'backed up' || plan.slot.place === 'volumes') {
    return true;
  }
  const isShown = plan.reports !== undefined && copy?.phase === 'verified';
  return isShown && findOther(plan, copy) === undefined;
}

/** Whether all pods of the last swap are seen to run its copies, and that was not known before. */
export function hasJustSucceeded(facts: SwapFacts): boolean {
  const { workload, record, slots = [], succeededAtMs } = facts;
  const swapped = new Set(findSwappedSlots(workload.slots, record).map(slotKey));
  if (succeededAtMs !== undefined || swapped.size === 0 || !runsTemplate(workload)) {
    return false;
  }
  const mine = slots.filter(({ plan }) => swapped.has(slotKey(plan.slot)));
  return mine.every(isSeen) || !isToBeSeen(facts);
}
