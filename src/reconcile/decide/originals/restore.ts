import { planNoRecord, slotKey, type SwapRecord } from '../../../workloads/record.ts';
import type { Workload } from '../../../workloads/workload.ts';
import type { WorkloadPatch } from '../../ports.ts';
import { planNoEntry } from '../../pull-secrets/pull-secret-entry.ts';
import { findOriginal } from '../slots/slot-plan.ts';

/** Where only the originals can still be read: what the slots hold, which counts where it is named after them. */
function readCopies({ slots }: Workload): SwapRecord['copies'] {
  return new Map(slots.map((slot) => [slotKey(slot), slot.image]));
}

/**
 * The patch that puts the recorded originals back, exactly as the user wrote them, and takes our annotations off;
 * undefined when the workload has nothing of ours. A slot that somebody has pointed elsewhere since is left alone.
 */
export function planRestore(workload: Workload, record: SwapRecord): WorkloadPatch | undefined {
  const annotations = planNoRecord(workload.annotations);
  if (!annotations) {
    return undefined;
  }
  const isLost = record.copies.size === 0 && record.former === undefined;
  const known = isLost ? { ...record, copies: readCopies(workload) } : record;
  const slots = workload.slots.flatMap((slot) => {
    const original = findOriginal(slot, known);
    return original ? [{ place: slot.place, name: slot.name, image: original.text }] : [];
  });
  return { slots, annotations, ...planNoEntry(workload, record) };
}
