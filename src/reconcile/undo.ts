import { findReferenceProblem } from '../images/reference.ts';
import { type SwapRecord, findSwappedSlots, formatRecord, slotKey } from '../workloads/record.ts';
import { isRolledOut } from '../workloads/rollout.ts';
import { readRefresh } from '../workloads/user-annotations.ts';
import type { Pod, PodContainer, Workload } from '../workloads/workload.ts';
import type { ObjectEvent, WorkloadPatch } from './ports.ts';

/** Reasons of the kubelet for which a container waits because of its image. */
const PULL_FAILURES: ReadonlySet<string> = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'RegistryUnavailable',
  'SignatureValidationFailed',
  'ImageInspectError',
]);
/** A registry may stumble, and the kubelet tries again; with no pod left that serves, there is no time for that. */
const GRACE_MS = 45_000;
/** A rollout that has not ended after that long is not ours any more: whatever happens now has other reasons. */
const LONGEST_ROLLOUT_MS = 3_600_000;
const FIRST_HOLD_MS = 3_600_000;
const LONGEST_HOLD_MS = 24 * 3_600_000;
/** Of the kubelet's words in an event. */
const LONGEST_QUOTE = 400;

export interface UndoFacts {
  readonly workload: Workload;
  readonly record: SwapRecord;
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

/** Puts back what the slots of the last swap held before it, and says why. */
export interface Undo {
  readonly patch: WorkloadPatch;
  readonly event: ObjectEvent;
}

/** True while a swap rolls out. Others may have changed the workload since, as an autoscaler does. */
export function isSwapInFlight(workload: Workload, record: SwapRecord, nowMs: number): boolean {
  const ageMs = nowMs - record.swappedAtMs;
  return (
    !isRolledOut(workload) &&
    ageMs < LONGEST_ROLLOUT_MS &&
    findSwappedSlots(workload.slots, record).length > 0
  );
}

/** A container that cannot be started because its image is the copy, and that has had its time to. */
function findFailure({ workload, record, pods, nowMs }: UndoFacts): PodContainer | undefined {
  const copies = new Map(findSwappedSlots(workload.slots, record).map((slot) => [slot.name, slot.image]));
  return pods
    .filter(({ createdAtMs }) => workload.rollout.available === 0 || nowMs - createdAtMs >= GRACE_MS)
    .flatMap((pod) => pod.containers)
    .find(
      ({ name, image, waiting }) =>
        waiting && copies.get(name) === image && PULL_FAILURES.has(waiting.reason),
    );
}

function planEvent(failed: PodContainer, untilMs: number): ObjectEvent {
  const { reason = '', message = '' } = failed.waiting ?? {};
  const note =
    `Put back to the images it had before, because a node cannot run the copy of ${failed.name}: ` +
    `${reason}: ${message.slice(0, LONGEST_QUOTE)}. Give the nodes access to the backup registry; ` +
    `it is tried again after ${new Date(untilMs).toISOString()}.`;
  return { type: 'Warning', reason: 'SwapRolledBack', action: 'RestoreImage', note };
}

/** Only the slots of the last swap go back, to what they held before it; the others have proven themselves. */
function planSlotsBack({ workload, record }: UndoFacts): readonly WorkloadPatch['slots'][number][] {
  return findSwappedSlots(workload.slots, record).flatMap(({ place, name }) => {
    const image = record.before.get(slotKey({ place, name }));
    return image !== undefined && findReferenceProblem(image) === undefined ? [{ place, name, image }] : [];
  });
}

/** What stays on record of slots that hold a copy, be it that of an earlier swap. */
function planRecord(
  { record }: UndoFacts,
  images: ReadonlyMap<string, string>,
): Omit<SwapRecord, 'swappedAtMs'> {
  const isCopyStill = (key: string): boolean =>
    !images.has(key) || images.get(key) !== record.originals.get(key);
  return {
    originals: new Map([...record.originals].filter(([key]) => isCopyStill(key))),
    copies: new Map(
      [...record.copies]
        .filter(([key]) => isCopyStill(key))
        .map(([key, copy]) => [key, images.get(key) ?? copy]),
    ),
    before: new Map(),
  };
}

/** Decides whether a swap has to be undone now. Undefined: it may still succeed, or somebody else has to help. */
export function planUndo(facts: UndoFacts): Undo | undefined {
  const { workload, record, nowMs } = facts;
  const failed = isSwapInFlight(workload, record, nowMs) ? findFailure(facts) : undefined;
  const slots = planSlotsBack(facts);
  if (!failed || slots.length === 0) {
    return undefined;
  }
  const failures = (record.hold?.failures ?? 0) + 1;
  const untilMs = nowMs + Math.min(FIRST_HOLD_MS * 2 ** (failures - 1), LONGEST_HOLD_MS);
  const images = new Map(slots.map((slot) => [slotKey(slot), slot.image]));
  const refresh = readRefresh(workload.annotations);
  const annotations = formatRecord({
    ...planRecord(facts, images),
    swappedAtMs: nowMs,
    hold: { untilMs, failures, images, ...(refresh !== undefined && { refresh }) },
  });
  return { patch: { slots, annotations }, event: planEvent(failed, untilMs) };
}

/** Until when a workload is not to be swapped; undefined when it may be, has another image by now, or was refreshed. */
export function findHoldEndMs(workload: Workload, record: SwapRecord, nowMs: number): number | undefined {
  const { hold } = record;
  const isSame = workload.slots.some((slot) => hold?.images.get(slotKey(slot)) === slot.image);
  const isRefreshed = hold?.refresh !== readRefresh(workload.annotations);
  return hold && isSame && !isRefreshed && hold.untilMs > nowMs ? hold.untilMs : undefined;
}
