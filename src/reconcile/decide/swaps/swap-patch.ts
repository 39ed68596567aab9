import { planFormer } from '../../../workloads/former-originals.ts';
import { type SwapRecord, formatRecord, slotKey } from '../../../workloads/record.ts';
import { isRolledOut } from '../../../workloads/rollout.ts';
import type { SlotSwap } from '../action.ts';
import type { WorkloadFacts } from '../decision.ts';
import { findAppliedBy } from '../originals/ownership.ts';
import type { WorkloadPatch } from '../../ports.ts';
import { planEntry } from '../../pull-secrets/pull-secret-entry.ts';
import { type Revert, planReverts } from '../originals/revert.ts';

/** Slots that are gone, or that somebody has pointed elsewhere, leave the record. */
function planSwapRecord(
  facts: WorkloadFacts,
  swaps: readonly SlotSwap[],
  revert: Revert | undefined,
): SwapRecord {
  const { workload, record, nowMs } = facts;
  const reverts = planReverts(facts, revert);
  const kept = new Set(
    workload.slots.filter((slot) => record.copies.get(slotKey(slot)) === slot.image).map(slotKey),
  );
  const keep = (entries: ReadonlyMap<string, string>): (readonly [string, string])[] =>
    [...entries].filter(([key]) => kept.has(key));
  const copies = new Map([
    ...keep(record.copies),
    ...swaps.map(({ plan, copy }) => [slotKey(plan.slot), copy.image] as const),
  ]);
  const former = planFormer(workload, record, copies);
  const isRescue = swaps.some(({ plan }) => plan.stuck !== undefined);
  return {
    originals: new Map([
      ...keep(record.originals),
      ...swaps.map(({ plan }) => [slotKey(plan.slot), plan.original] as const),
    ]),
    copies,
    before: new Map(swaps.map(({ plan }) => [slotKey(plan.slot), plan.slot.image])),
    swappedAtMs: nowMs,
    uid: workload.uid,
    ...(record.hold && { hold: record.hold }),
    reverts,
    appliedBy: findAppliedBy(workload, record),
    ...(former && { former }),
    // One whose originals were put back rolls out because of that, unless they cannot be pulled: going back helps nobody.
    ...((isRolledOut(workload) || (revert?.is === 'to be swapped again' && !isRescue)) && {
      hasServed: true,
    }),
  };
}

/** The one patch of a swap: the new images, and what is written down of the old ones. */
export function planSwapPatch(
  facts: WorkloadFacts,
  swaps: readonly SlotSwap[],
  revert: Revert | undefined,
): WorkloadPatch {
  // A rescue does not wait for the Secret: the nodes may pull without it, or it is undone.
  const wanted = facts.pullSecretProblem ? undefined : facts.pullSecret;
  const entry = planEntry(facts, wanted);
  return {
    slots: swaps.map(({ plan: { slot }, copy }) => ({
      place: slot.place,
      name: slot.name,
      image: copy.image,
    })),
    annotations: formatRecord({ ...planSwapRecord(facts, swaps, revert), ...entry.record }),
    ...entry.patch,
  };
}
