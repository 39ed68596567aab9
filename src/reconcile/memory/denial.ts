import { slotKey } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { WorkloadMemory } from './workload-memory.ts';

/** A try costs two dry runs and changes nothing, and policies change. */
const HOLD_MS = 3_600_000;

/** Images, and what users say by annotations of ours. */
function describeWanted({ slots, annotations }: Workload): string {
  return fingerprintOf(JSON.stringify([slots.map((slot) => [slotKey(slot), slot.image]), annotations]));
}

/**
 * Remembers that the API server has refused the swap of a workload, which is left alone as it is. In memory: a patch that
 * is refused writes nothing down and changes nothing, so that after a restart one more try costs one request. Returns
 * until when.
 */
export function noteDenial(
  memory: Pick<WorkloadMemory, 'denial'>,
  workload: Workload,
  nowMs: number,
): number {
  const untilMs = nowMs + HOLD_MS;
  memory.denial = { wanted: describeWanted(workload), untilMs };
  return untilMs;
}

/** Undefined when the workload may be tried, or was changed by its user. */
export function findDenialEndMs(
  { denial }: Pick<WorkloadMemory, 'denial'>,
  workload: Workload,
  nowMs: number,
): number | undefined {
  const isHeld = denial && denial.untilMs > nowMs && denial.wanted === describeWanted(workload);
  return isHeld ? denial.untilMs : undefined;
}
