import { InvalidImageError } from '../errors.ts';
import { type BackupPrefix, isCopy, isNamedAsCopyOf } from '../images/copy-name.ts';
import { type Reference, isSameRepository, parseReference } from '../images/reference.ts';
import { type SwapRecord, slotKey } from '../workloads/record.ts';
import type { Pod, Slot, Workload } from '../workloads/workload.ts';
import type { CopyRequest } from './copy-state.ts';

/** What is to be done for one slot. */
export type SlotPlan =
  | { readonly is: 'left alone'; readonly slot: Slot; readonly why: 'never pulled' | 'is a copy' }
  | { readonly is: 'invalid'; readonly slot: Slot; readonly message: string }
  | {
      readonly is: 'to be backed up';
      readonly slot: Slot;
      /** What the user wrote; differs from the image of the slot while that is a copy of an earlier prefix. */
      readonly original: string;
      readonly request: CopyRequest;
    };

function tryParse(text: string): Reference | InvalidImageError {
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof InvalidImageError) {
      return error;
    }
    throw error;
  }
}

/** Digest of the image that Ready pods run in this slot; the one that most of them run when they differ. */
function findRunningDigest(slot: Slot, image: Reference, pods: readonly Pod[]): string | undefined {
  const counts = new Map<string, number>();
  const running = pods
    .filter((pod) => pod.ready)
    .flatMap((pod) => pod.containers)
    .filter((container) => container.name === slot.name && container.image === slot.image);
  for (const { imageId } of running) {
    const reported = tryParse(imageId.replace(/^[a-z-]+:\/\//, ''));
    if (!(reported instanceof Error) && reported.digest && isSameRepository(reported, image)) {
      counts.set(reported.digest, (counts.get(reported.digest) ?? 0) + 1);
    }
  }
  return [...counts].toSorted((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))[0]?.[0];
}

/**
 * The recorded original, if the slot still holds the copy that was put there. A record is as hostile as any text
 * of the workload: it counts only when the slot's image bears the name that a copy of that original has.
 */
function findOriginal(slot: Slot, image: Reference, record: SwapRecord): string {
  const key = slotKey(slot);
  const original = record.originals.get(key);
  if (original === undefined || record.copies.get(key) !== slot.image) {
    return slot.image;
  }
  const source = tryParse(original);
  return !(source instanceof Error) && isNamedAsCopyOf(image, source) ? original : slot.image;
}

export interface SlotPlanFacts {
  readonly workload: Workload;
  readonly record: SwapRecord;
  /** Pods of the workload; empty while nobody needs to know what runs. */
  readonly pods: readonly Pod[];
  readonly prefix: BackupPrefix;
}

function planSlot(slot: Slot, { record, pods, prefix }: SlotPlanFacts): SlotPlan {
  if (slot.pullPolicy === 'Never') {
    return { is: 'left alone', slot, why: 'never pulled' };
  }
  const image = tryParse(slot.image);
  if (image instanceof Error) {
    return { is: 'invalid', slot, message: image.message };
  }
  if (isCopy(image, prefix)) {
    return { is: 'left alone', slot, why: 'is a copy' };
  }
  const original = findOriginal(slot, image, record);
  const source = original === slot.image ? image : parseReference(original);
  const runningDigest = findRunningDigest(slot, image, pods);
  return {
    is: 'to be backed up',
    slot,
    original,
    request: { source, ...(runningDigest === undefined ? {} : { runningDigest }) },
  };
}

/** Decides for every slot of a workload whether a copy is needed, and of what. */
export function planSlots(facts: SlotPlanFacts): readonly SlotPlan[] {
  return facts.workload.slots.map((slot) => planSlot(slot, facts));
}
