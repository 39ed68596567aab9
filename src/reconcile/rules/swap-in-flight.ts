import { KINDS } from '../../workloads/kinds.ts';
import { type SwapRecord, findSwappedSlots } from '../../workloads/record.ts';
import { isRolledOut } from '../../workloads/rollout.ts';
import type { Workload } from '../../workloads/workload.ts';

/** A rollout that has not ended after that long is not ours any more: whatever happens now has other reasons. */
export const LONGEST_ROLLOUT_MS = 3_600_000;
/** Unless not every pod has got the copy yet, or none serves: then it may never have been seen to work. */
export const LONGEST_TRIAL_MS = 24 * 3_600_000;
/** A CronJob has no rollout: at every run it is the pods of that run which may not find the copy. */
const LONGEST_START_MS = 10 * 60_000;

/**
 * True while a swap rolls out, or a run of a swapped CronJob starts. Others may have changed the workload since, as an
 * autoscaler does. Where pods are replaced only when somebody deletes them, that may be any time later.
 */
export function isSwapInFlight(workload: Workload, record: SwapRecord, nowMs: number): boolean {
  const ageMs = nowMs - Math.max(record.swappedAtMs, workload.rollout.startedAtMs ?? 0);
  return (
    !isRolledOut(workload) &&
    (ageMs < longestFlightMs(workload) || workload.rollout.onDelete) &&
    findSwappedSlots(workload.slots, record).length > 0
  );
}

function longestFlightMs({ kind, rollout }: Workload): number {
  if (!KINDS[kind].rollsOut) {
    return LONGEST_START_MS;
  }
  const isTried = rollout.updated >= rollout.desired && rollout.available > 0;
  return isTried ? LONGEST_ROLLOUT_MS : LONGEST_TRIAL_MS;
}
