import { isNamedAsCopyOf } from '../../../images/copy-name.ts';
import { type Reference, findReference } from '../../../images/reference.ts';
import { FIELD_MANAGER, type ImageOwner } from '../../../workloads/image-owner.ts';
import { type Reverts, type SwapRecord, formatRecord, slotKey } from '../../../workloads/record.ts';
import { readRefresh } from '../../../workloads/user-annotations.ts';
import type { Slot, Workload } from '../../../workloads/workload.ts';
import type { Hold } from '../action.ts';
import { planRevertedEvent } from './reverted-event.ts';

/** Swaps made again in a row; the next revert within the time leads to a hold. */
const MOST_REVERTS = 3;
const WINDOW_MS = 3_600_000;
const FIRST_HOLD_MS = 24 * 3_600_000;
const LONGEST_HOLD_MS = 7 * FIRST_HOLD_MS;

export interface RevertFacts {
  readonly workload: Workload;
  readonly record: SwapRecord;
  /** The workload does not have the record any more: whoever put the originals back has taken it off. */
  readonly isRecordLost?: boolean;
  /** Workloads are rolled to what their tags mean by now: an earlier copy that somebody has put back is not what a deploy left. */
  readonly followsTags?: boolean;
  readonly nowMs: number;
}

/** What follows from the originals being back although nobody of ours put them there. */
export type Revert =
  /** At once: pods of the copy are still there, and the sooner it is done the fewer are replaced. */
  | { readonly is: 'to be swapped again'; readonly reverts: Reverts }
  | { readonly is: 'to be held'; readonly hold: Hold }
  | { readonly is: 'held'; readonly untilMs: number };

/**
 * The copy that a slot held before its original was put back. A record is as hostile as any text of the workload: it
 * counts only on the workload that it was written for, and when the copy has the name that copies of that original have.
 */
export function findFormerCopy(slot: Slot, uid: string, record: SwapRecord): Reference | undefined {
  const key = slotKey(slot);
  if (record.uid !== uid || record.originals.get(key) !== slot.image) {
    return undefined;
  }
  const [copy, source] = [findReference(record.copies.get(key) ?? ''), findReference(slot.image)];
  return copy && source && isNamedAsCopyOf(copy, source) ? copy : undefined;
}

/** True for another copy of the recorded original than the newest: what the tag meant before. */
function isOtherCopy(slot: Slot, uid: string, record: SwapRecord): boolean {
  const original = record.originals.get(slotKey(slot));
  if (record.uid !== uid || original === undefined) {
    return false;
  }
  const [image, source] = [findReference(slot.image), findReference(original)];
  return image?.digest !== undefined && source !== undefined && isNamedAsCopyOf(image, source);
}

/**
 * Slots in which the recorded original is back or, where tags are followed, another copy of it. None when any slot has
 * something new: then it is a deploy.
 */
export function findPutBack(
  { uid, slots }: Workload,
  record: SwapRecord,
  { followsTags }: Pick<RevertFacts, 'followsTags'>,
): readonly Slot[] {
  const byKey = new Map(slots.map((slot) => [slotKey(slot), slot]));
  const isBack = (slot: Slot): boolean =>
    findFormerCopy(slot, uid, record) !== undefined ||
    (followsTags === true && isOtherCopy(slot, uid, record));
  const back: Slot[] = [];
  for (const [key, copy] of record.copies) {
    const slot = byKey.get(key);
    if (!slot || (slot.image !== copy && !isBack(slot))) {
      return [];
    }
    if (slot.image !== copy) {
      back.push(slot);
    }
  }
  return back;
}

/** An earlier copy that is back is none of those that the record names: without this nobody would know its original. */
function keepOriginals(record: SwapRecord, slots: readonly Slot[]): Pick<SwapRecord, 'former'> {
  const former = new Map(record.former);
  for (const slot of slots) {
    const key = slotKey(slot);
    const original = record.originals.get(key);
    if (original !== undefined && slot.image !== original) {
      former.set(key, new Map([...(former.get(key) ?? []), [slot.image, original]]));
    }
  }
  return former.size > 0 ? { former } : {};
}

/** Ways in which a person with kubectl changes an image by hand; `kubectl` alone is what `rollout undo` calls itself. */
const BY_HAND: ReadonlySet<string> = new Set([
  'kubectl',
  'kubectl-rollout',
  'kubectl-edit',
  'kubectl-set',
  'kubectl-patch',
]);

function isByHand({ manager, isApply }: ImageOwner, isRecordLost: boolean): boolean {
  return (isRecordLost && manager.startsWith('kubectl')) || (!isApply && BY_HAND.has(manager));
}

/** A time that lies further ahead than any hold was not written by us, and counts for nothing; a refresh ends it. */
function findRevertHoldEndMs(
  { untilMs = 0, refresh }: Reverts,
  { workload, nowMs }: RevertFacts,
): number | undefined {
  const isRefreshed = refresh !== readRefresh(workload.annotations);
  return !isRefreshed && untilMs > nowMs && untilMs - nowMs <= LONGEST_HOLD_MS ? untilMs : undefined;
}

function countRevert({ swappedAtMs, reverts }: SwapRecord, nowMs: number): Reverts {
  const { count = 0, sinceMs = 0, holds = 0 } = reverts ?? {};
  const isInRow = nowMs - sinceMs < WINDOW_MS && sinceMs <= nowMs;
  return {
    count: isInRow ? count + 1 : 1,
    sinceMs: isInRow ? sinceMs : nowMs,
    ofMs: swappedAtMs,
    holds,
  };
}

function planHold(
  { workload, record, nowMs }: RevertFacts,
  cause: { slots: readonly Slot[]; owner: ImageOwner | undefined; isByHand: boolean; reverts: Reverts },
): Revert {
  const { reverts } = cause;
  const untilMs = nowMs + Math.min(FIRST_HOLD_MS * 2 ** reverts.holds, LONGEST_HOLD_MS);
  const refresh = readRefresh(workload.annotations);
  const held = { ...reverts, holds: reverts.holds + 1, untilMs, refresh };
  const kept = keepOriginals(record, cause.slots);
  const annotations = formatRecord({ ...record, ...kept, reverts: held, uid: workload.uid });
  const event = planRevertedEvent({ ...cause, count: reverts.count, untilMs });
  return { is: 'to be held', hold: { is: 'hold', patch: { slots: [], annotations }, event } };
}

function judge(facts: RevertFacts, slots: readonly Slot[]): Revert {
  const { workload, record, nowMs, isRecordLost = false } = facts;
  const [owner] = workload.imageOwners ?? [];
  const reverts = countRevert(record, nowMs);
  const byHand = owner !== undefined && isByHand(owner, isRecordLost);
  return byHand || reverts.count > MOST_REVERTS
    ? planHold(facts, { slots, owner, isByHand: byHand, reverts })
    : { is: 'to be swapped again', reverts };
}

/**
 * Decides what to do about originals that somebody else has put back. Undefined: that has not happened, or the hold for
 * it is over.
 */
export function planRevert(facts: RevertFacts): Revert | undefined {
  const { workload, record } = facts;
  const slots = findPutBack(workload, record, facts);
  if (slots.length === 0 || workload.imageOwners?.[0]?.manager === FIELD_MANAGER) {
    return undefined;
  }
  const { reverts } = record;
  const untilMs = reverts && findRevertHoldEndMs(reverts, facts);
  if (untilMs !== undefined) {
    return { is: 'held', untilMs };
  }
  return reverts?.ofMs === record.swappedAtMs ? undefined : judge(facts, slots);
}

/** What a swap that is made now writes down of earlier reverts; a deploy has ended them. */
export function planReverts(
  { workload, record, followsTags }: RevertFacts,
  revert: Revert | undefined,
): Reverts | undefined {
  if (revert?.is === 'to be swapped again') {
    return revert.reverts;
  }
  const isOurs = (slot: Slot): boolean =>
    [record.originals.get(slotKey(slot)), record.copies.get(slotKey(slot))].includes(slot.image) ||
    (followsTags === true && isOtherCopy(slot, workload.uid, record));
  return workload.slots.filter((slot) => record.copies.has(slotKey(slot))).every(isOurs)
    ? record.reverts
    : undefined;
}
