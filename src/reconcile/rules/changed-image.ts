import { quote } from '../../images/reference.ts';
import { slotKey } from '../../workloads/record.ts';
import type { Slot } from '../../workloads/workload.ts';
import type { WorkloadPatch } from '../ports.ts';

/**
 * What admission makes of the images of a patch, if that is not what they are: a pod would be pointed at something that
 * nobody has proven, and the next swap would take it for the original.
 */
export function explainChangedImage(
  patch: Pick<WorkloadPatch, 'slots'>,
  made: readonly Slot[],
): string | undefined {
  const madeOf = new Map(made.map((slot) => [slotKey(slot), slot.image]));
  const changed = patch.slots.find((slot) => madeOf.get(slotKey(slot)) !== slot.image);
  return (
    changed &&
    `a webhook or policy makes ${quote(madeOf.get(slotKey(changed)) ?? '')} of the image of ${slotKey(changed)}`
  );
}
