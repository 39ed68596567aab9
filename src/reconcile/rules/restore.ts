import { planNoRecord, type SwapRecord } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { WorkloadPatch } from '../ports.ts';
import { planNoEntry } from './pull-secret-entry.ts';
import { findOriginal } from './slot-plan.ts';

/**
 * The patch that puts the recorded originals back, exactly as the user wrote them, and takes our annotations off;
 * undefined when the workload bears nothing of ours. A slot that somebody has pointed elsewhere since is left alone.
 */
export function planRestore(workload: Workload, record: SwapRecord): WorkloadPatch | undefined {
  const annotations = planNoRecord(workload.annotations);
  if (!annotations) {
    return undefined;
  }
  const slots = workload.slots.flatMap((slot) => {
    const original = findOriginal(slot, record);
    return original ? [{ place: slot.place, name: slot.name, image: original.text }] : [];
  });
  return { slots, annotations, ...planNoEntry(workload, record) };
}
