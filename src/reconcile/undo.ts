import { parseReference } from '../images/reference.ts';
import { type SwapRecord, formatRecord, slotKey } from '../workloads/record.ts';
import { isRolledOut } from '../workloads/rollout.ts';
import type { Pod, PodContainer, Slot, Workload } from '../workloads/workload.ts';
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
/** A registry may stumble once; with no pod left that serves, there is no time to find out. */
const GRACE_MS = 45_000;
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

/** Puts the originals back, and says why. */
export interface Undo {
  readonly patch: WorkloadPatch;
  readonly event: ObjectEvent;
}

function findHeldCopies({ workload, record }: Pick<UndoFacts, 'workload' | 'record'>): readonly Slot[] {
  return workload.slots.filter((slot) => record.copies.get(slotKey(slot)) === slot.image);
}

/** True while a swap rolls out, and nothing else has changed the workload since. */
export function isSwapInFlight(workload: Workload, record: SwapRecord): boolean {
  return (
    record.generation === workload.rollout.generation &&
    !isRolledOut(workload) &&
    findHeldCopies({ workload, record }).length > 0
  );
}

/** A container that cannot be started because its image is the copy. */
function findFailure({ pods, ...facts }: UndoFacts): PodContainer | undefined {
  const copies = new Map(findHeldCopies(facts).map((slot) => [slot.name, slot.image]));
  return pods
    .flatMap((pod) => pod.containers)
    .find(
      ({ name, image, waiting }) =>
        waiting && copies.get(name) === image && PULL_FAILURES.has(waiting.reason),
    );
}

function canBePutBack(text: string | undefined): text is string {
  try {
    return text !== undefined && parseReference(text) !== undefined;
  } catch {
    return false;
  }
}

function planEvent(failed: PodContainer, untilMs: number): ObjectEvent {
  const { reason = '', message = '' } = failed.waiting ?? {};
  const note =
    `Put back to its original images, because a node cannot run the copy of ${failed.name}: ` +
    `${reason}: ${message.slice(0, LONGEST_QUOTE)}. Give the nodes access to the backup registry; ` +
    `it is tried again after ${new Date(untilMs).toISOString()}.`;
  return { type: 'Warning', reason: 'SwapRolledBack', action: 'RestoreImage', note };
}

/** Decides whether a swap has to be undone now. Undefined: it may still succeed, or somebody else has to help. */
export function planUndo(facts: UndoFacts): Undo | undefined {
  const { workload, record, nowMs } = facts;
  const failed = isSwapInFlight(workload, record) ? findFailure(facts) : undefined;
  const isPatient = nowMs - record.swappedAtMs < GRACE_MS && workload.rollout.available > 0;
  if (!failed || isPatient) {
    return undefined;
  }
  const slots = findHeldCopies(facts).flatMap(({ place, name }) => {
    const image = record.originals.get(slotKey({ place, name }));
    return canBePutBack(image) ? [{ place, name, image }] : [];
  });
  const failures = (record.hold?.failures ?? 0) + 1;
  const untilMs = nowMs + Math.min(FIRST_HOLD_MS * 2 ** (failures - 1), LONGEST_HOLD_MS);
  const images = new Map(slots.map((slot) => [slotKey(slot), slot.image]));
  const annotations = formatRecord({
    originals: new Map(),
    copies: new Map(),
    generation: workload.rollout.generation + 1,
    swappedAtMs: nowMs,
    hold: { untilMs, failures, images },
  });
  return slots.length === 0
    ? undefined
    : { patch: { slots, annotations }, event: planEvent(failed, untilMs) };
}

/** Until when a workload is not to be swapped; undefined when it may be, or has another image by now. */
export function findHoldEndMs(workload: Workload, record: SwapRecord, nowMs: number): number | undefined {
  const { hold } = record;
  const isSame = workload.slots.some((slot) => hold?.images.get(slotKey(slot)) === slot.image);
  return hold && isSame && hold.untilMs > nowMs ? hold.untilMs : undefined;
}
