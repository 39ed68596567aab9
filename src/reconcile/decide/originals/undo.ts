import { findReferenceProblem } from '../../../images/reference.ts';
import { planFormer } from '../../../workloads/former-originals.ts';
import { type SwapRecord, findSwappedSlots, formatRecord, slotKey } from '../../../workloads/record.ts';
import { readRefresh } from '../../../workloads/user-annotations.ts';
import type { Workload } from '../../../workloads/workload.ts';
import { LONGEST_HOLD_MS, planHoldMs } from './hold.ts';
import { createEvent } from '../../events/create-event.ts';
import type { ObjectEvent } from '../../events/object-event.ts';
import type { WorkloadPatch } from '../../ports.ts';
import type { Undo } from '../action.ts';
import { findAppliedBy } from './ownership.ts';
import { planEntry, planNoEntry } from '../../pull-secrets/pull-secret-entry.ts';
import { type SwapFacts, type SwapFailure, findSwapFailure } from '../swaps/swap-failure.ts';

/** Of the kubelet's words in an event: the reason comes last, after the name of the image, twice. */
const LONGEST_QUOTE = 700;

function planEvent({ what, quote, help }: SwapFailure, untilMs: number): ObjectEvent {
  const note =
    `Put back to the images it had before, because ${what}: ${quote.slice(0, LONGEST_QUOTE)}. ${help}; ` +
    `it is tried again after ${new Date(untilMs).toISOString()}.`;
  return createEvent('SwapRolledBack', note);
}

/** Only the slots of the last swap go back, to what they held before it; the others have proven themselves. */
function planSlotsBack({ workload, record }: SwapFacts): readonly WorkloadPatch['slots'][number][] {
  return findSwappedSlots(workload.slots, record).flatMap(({ place, name }) => {
    const image = record.before.get(slotKey({ place, name })) ?? '';
    return findReferenceProblem(image) === undefined ? [{ place, name, image }] : [];
  });
}

/** What stays on record of slots that hold a copy, be it that of an earlier swap. */
function planUndoneRecord(
  { workload, record }: SwapFacts,
  images: ReadonlyMap<string, string>,
): Omit<SwapRecord, 'swappedAtMs'> {
  const isCopyStill = (key: string): boolean =>
    !images.has(key) || images.get(key) !== record.originals.get(key);
  const copies = new Map(
    [...record.copies]
      .filter(([key]) => isCopyStill(key))
      .map(([key, copy]) => [key, images.get(key) ?? copy]),
  );
  const former = planFormer(workload, record, copies);
  return {
    originals: new Map([...record.originals].filter(([key]) => isCopyStill(key))),
    copies,
    before: new Map(),
    uid: record.uid,
    reverts: record.reverts,
    // The images belong to nobody meanwhile, so that the next swap would not find out.
    appliedBy: findAppliedBy(workload, record),
    ...(former && { former }),
  };
}

/** Decides whether a swap has to be undone now. Undefined: it may still succeed, or somebody else has to help. */
export function planUndo(facts: SwapFacts): Undo | undefined {
  const { workload, record, nowMs } = facts;
  const failed = findSwapFailure(facts);
  const slots = planSlotsBack(facts);
  if (!failed || slots.length === 0) {
    return undefined;
  }
  const failures = (record.hold?.failures ?? 0) + 1;
  const untilMs = nowMs + planHoldMs(failures);
  const images = new Map(slots.map((slot) => [slotKey(slot), slot.image]));
  const refresh = readRefresh(workload.annotations);
  const left = planUndoneRecord(facts, images);
  // Without a wish of its own, an entry stays as it is.
  const entry =
    left.copies.size > 0 ? planEntry(facts, undefined) : { patch: planNoEntry(workload, record), record: {} };
  const annotations = formatRecord({
    ...left,
    ...entry.record,
    swappedAtMs: nowMs,
    hold: { untilMs, failures, images, refresh, ...(failed.cause === 'not ready' && { isPullable: true }) },
  });
  return {
    is: 'undo',
    patch: { slots, annotations, ...entry.patch },
    event: planEvent(failed, untilMs),
  };
}

/**
 * Until when a workload is not to be swapped; undefined when it may be, has another image by now, or was refreshed. A
 * time that lies further ahead than any hold was not written by us, and counts for nothing.
 */
export function findFailureHoldEndMs(
  workload: Workload,
  record: SwapRecord,
  nowMs: number,
): number | undefined {
  const { hold } = record;
  const isSame = workload.slots.some((slot) => hold?.images.get(slotKey(slot)) === slot.image);
  const isRefreshed = hold?.refresh !== readRefresh(workload.annotations);
  const leftMs = (hold?.untilMs ?? 0) - nowMs;
  return hold && isSame && !isRefreshed && leftMs > 0 && leftMs <= LONGEST_HOLD_MS ? hold.untilMs : undefined;
}
