import { isImageCopy, isNamedAsCopyOf, type BackupPrefix } from '../../../images/copy-name.ts';
import { findReference } from '../../../images/reference.ts';
import { KINDS } from '../../../workloads/kinds.ts';
import { type SwapRecord, slotKey } from '../../../workloads/record.ts';
import { isRolledOut, keepsStuckPods } from '../../../workloads/rollout.ts';
import type { Pod, PodContainer, Slot, Workload } from '../../../workloads/workload.ts';
import { createEvent } from '../../events/create-event.ts';
import type { ObjectEvent } from '../../events/object-event.ts';
import type { PodPatch } from '../../ports.ts';
import { isPullFailure } from './pull-failure.ts';
import { type TemplateFacts, hasNewestTemplate } from './template-pods.ts';
import { findUnreadySinceMs } from './unready-pod.ts';

/** Since the swap or its undo, or since the last run of a CronJob: after that, whoever looks after it has seen it. */
const LONGEST_MS = 24 * 3_600_000;

/** Of the texts that thousands of pods may have in one slot, real ones have a handful. */
const MOST_TEXTS = 64;

export interface StuckPodFacts extends TemplateFacts {
  readonly pods: readonly Pod[];
  readonly prefix: BackupPrefix;
}

/**
 * True while a pod may still wait for an image that the template does not name any more, and nobody else replaces it:
 * after a swap, which may have been to the rescue, after an undo, and after a restore, which leaves no record.
 */
export function mayHaveStuckPods(
  workload: Workload,
  record: SwapRecord,
  { isRestoring, nowMs }: { readonly isRestoring: boolean; readonly nowMs: number },
): boolean {
  const sinceMs = Math.max(record.swappedAtMs, workload.rollout.startedAtMs ?? 0);
  const isOurs = record.swappedAtMs > 0 && nowMs - sinceMs < LONGEST_MS;
  return keepsStuckPods(workload) && (isRestoring || isOurs) && !isRolledOut(workload);
}

/**
 * Whether an image text has the name of a copy of another one, in whatever backup. Admission may have dropped the tag,
 * which a digest makes needless.
 */
function isNamedCopy(image: string, original: string): boolean {
  const [copy, source] = [findReference(image), findReference(original)];
  if (!copy || !source) {
    return false;
  }
  const isTagDropped = copy.tag === undefined && copy.digest !== undefined && source.tag !== undefined;
  return isNamedAsCopyOf(isTagDropped ? { ...copy, tag: source.tag } : copy, source);
}

type Judge = (image: string, slot: Slot) => boolean;

/** Asks once for each text in a slot, and not at all for more of them than there can be. */
function judgeOnce(judge: Judge): Judge {
  const known = new Map<string, Map<string, boolean>>();
  return (image, slot) => {
    const ofSlot = known.get(slotKey(slot)) ?? new Map<string, boolean>();
    known.set(slotKey(slot), ofSlot);
    const isSo = ofSlot.get(image) ?? (ofSlot.size < MOST_TEXTS && judge(image, slot));
    if (ofSlot.size < MOST_TEXTS) {
      ofSlot.set(image, isSo);
    }
    return isSo;
  };
}

/** What the image texts of pods mean, besides the facts. */
interface JudgedFacts extends StuckPodFacts {
  readonly isTakenOut: Judge;
  readonly areOfOneSource: Judge;
}

/** What this controller has taken out of a slot, or may have: an original, or a copy, be it of an earlier backup. */
function isTakenOut(image: string, slot: Slot, { record, prefix }: StuckPodFacts): boolean {
  const [original, before] = [record.originals, record.before].map((images) => images.get(slotKey(slot)));
  return (
    [original, before].includes(image) ||
    isImageCopy(image, prefix) ||
    isNamedCopy(image, original ?? slot.image)
  );
}

/** Whether two image texts are one image: itself, or copies of it. */
function areOfOneSource(image: string, slot: Slot, { record }: StuckPodFacts): boolean {
  const original = record.originals.get(slotKey(slot)) ?? slot.image;
  return [image, slot.image].every((text) => text === original || isNamedCopy(text, original));
}

/** It never started, and has an image of ours. */
function waitsInVain(
  slot: Slot,
  { pod, container }: { readonly pod: Pod; readonly container: PodContainer },
  facts: JudgedFacts,
): boolean {
  if (!isPullFailure(container) || container.imageId !== '') {
    return false;
  }
  // Where pods are replaced on deletion only, and of runs, a new image is for the pods to come.
  const { kind, rollout } = facts.workload;
  const mayGetAny = !rollout.onDelete && kind !== 'CronJob';
  const mayGet = mayGetAny || facts.areOfOneSource(container.image, slot);
  // What it has from us in place may be of a template that was older than we knew.
  const isOurs = pod.replacedAtMs !== undefined || facts.isTakenOut(container.image, slot);
  return mayGet && isOurs;
}

/** It was not ready when its swap was undone, and is not yet; nobody else ends it. */
function isLeftBehind(slot: Slot, pod: Pod, { workload, record }: StuckPodFacts): boolean {
  const isUndone = record.before.size === 0 && record.hold?.images.get(slotKey(slot)) === slot.image;
  const sinceMs = findUnreadySinceMs(pod) ?? Infinity;
  return KINDS[workload.kind].rollsOut && isUndone && sinceMs <= record.swappedAtMs;
}

/** It has what admission has made of the images of today: those would be no news, and nobody has asked for them. */
function isOfToday(pod: Pod, facts: StuckPodFacts): boolean {
  const isReplaced = pod.replacedAtMs !== undefined;
  // Without a record, all runs of a CronJob would be later ones.
  return !isReplaced && facts.record.swappedAtMs > 0 && hasNewestTemplate(pod, facts) === true;
}

/** Whether a pod waits in vain for what the template does not name any more, or runs that in vain. */
function isInVain(
  slot: Slot,
  { pod, container }: { readonly pod: Pod; readonly container: PodContainer | undefined },
  facts: JudgedFacts,
): boolean {
  if (slot.place === 'volumes' || !container || container.image === slot.image) {
    return false;
  }
  return (
    (isLeftBehind(slot, pod, facts) && facts.areOfOneSource(container.image, slot)) ||
    waitsInVain(slot, { pod, container }, facts)
  );
}

/** A pod keeps the pull secrets that it was made with: without that of the backup, a copy is of no use to it. */
function mayPull({ image }: Slot, pod: Pod, { record, prefix }: StuckPodFacts): boolean {
  const { pullSecret } = record;
  return (
    pullSecret === undefined || !isImageCopy(image, prefix) || pod.pullSecrets?.includes(pullSecret) === true
  );
}

function planPod(facts: JudgedFacts, pod: Pod): readonly PodPatch[] {
  const { workload } = facts;
  const isOurs = workload.kind === 'CronJob' || pod.made?.by.uid === workload.uid;
  if (!pod.made || !isOurs || isOfToday(pod, facts)) {
    return [];
  }
  const byName = new Map(pod.containers.map((container) => [container.name, container]));
  const slots = workload.slots.filter(
    (slot) => isInVain(slot, { pod, container: byName.get(slot.name) }, facts) && mayPull(slot, pod, facts),
  );
  return slots.length > 0
    ? [
        {
          name: pod.name,
          uid: pod.made.uid,
          slots: slots.map(({ place, name, image }) => ({ place, name, image })),
        },
      ]
    : [];
}

/**
 * The images of today's template for pods that wait in vain for those of yesterday, where no controller replaces such
 * pods (`keepsStuckPods`).
 */
export function planStuckPods(facts: StuckPodFacts): readonly PodPatch[] {
  const judged = {
    ...facts,
    isTakenOut: judgeOnce((image, slot) => isTakenOut(image, slot, facts)),
    areOfOneSource: judgeOnce((image, slot) => areOfOneSource(image, slot, facts)),
  };
  return facts.pods.flatMap((pod) => planPod(judged, pod));
}

/** Says that one has got them. */
export function planFreedEvent({ name }: PodPatch): ObjectEvent {
  return createEvent(
    'PodRestored',
    `The pod ${name} still waited for an image that the template does not name any more, or did not become ready ` +
      'with it, and nothing would have replaced it: it has the image of the template now.',
  );
}

/** Says that one may not have them. */
export function planNotFreedEvent({ name }: PodPatch, why: string): ObjectEvent {
  return createEvent(
    'PodNotRestored',
    `The pod ${name} still waits for an image that the template does not name any more, and may not have that of the ` +
      `template: ${why}. Delete it, or let the policy allow it; it is tried again within the hour.`,
  );
}
