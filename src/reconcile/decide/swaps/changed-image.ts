import { isSameImage, quote } from '../../../images/reference.ts';
import { slotKey } from '../../../workloads/record.ts';
import type { Slot } from '../../../workloads/workload.ts';
import type { PatchPreview, WorkloadPatch } from '../../ports.ts';
import type { CopiedSlot } from '../slots/planned-slot.ts';

type PatchedSlot = WorkloadPatch['slots'][number];

function findChanged(
  slots: readonly PatchedSlot[],
  made: readonly Slot[],
  isSame: (image: string, made: string) => boolean,
): { readonly slot: PatchedSlot; readonly made: string } | undefined {
  const madeOf = new Map(made.map((slot) => [slotKey(slot), slot.image]));
  const changed = slots.map((slot) => ({ slot, made: madeOf.get(slotKey(slot)) ?? '' }));
  return changed.find(({ slot, made: text }) => !isSame(slot.image, text));
}

function explainBlindness(preview: PatchPreview | undefined): string {
  return preview?.pod.is === 'not permitted'
    ? 'without the permission of config/components/pod-dry-run'
    : 'because the dry run fails: a webhook does not let it pass, or a quota has no room for one more pod';
}

/**
 * What admission would make of the images of a swap, if that is not what they are: pods would be pointed at something
 * that nobody has proven. Where it cannot be asked about pods, that it changes the images of those that run has to do.
 */
export function explainChangedImage(
  { slots }: Pick<WorkloadPatch, 'slots'>,
  preview: PatchPreview | undefined,
  plans: readonly Pick<CopiedSlot, 'slot' | 'rewritten'>[],
): string | undefined {
  const inTemplate = preview && findChanged(slots, preview.slots, (image, made) => image === made);
  if (inTemplate) {
    return `admission would change the image of ${slotKey(inTemplate.slot)} to ${quote(inTemplate.made)}`;
  }
  if (preview?.pod.is === 'seen') {
    const inPod = findChanged(slots, preview.pod.slots, isSameImage);
    return (
      inPod &&
      `admission would change the image of ${slotKey(inPod.slot)} in its pods to ${quote(inPod.made)}`
    );
  }
  const rewritten = plans.find((plan) => plan.rewritten !== undefined);
  return (
    rewritten &&
    `its pods have ${quote(rewritten.rewritten ?? '')} in ${slotKey(rewritten.slot)} where the template says ` +
      `${quote(rewritten.slot.image)}: admission changes images, and what it would make of the copy cannot be seen ` +
      explainBlindness(preview)
  );
}
