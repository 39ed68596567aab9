import { type SwapRecord, formatRecord, slotKey } from '../workloads/record.ts';
import { whyNotSwappable } from '../workloads/rollout.ts';
import type { Workload } from '../workloads/workload.ts';
import type { CopyState } from './copy-state.ts';
import type { ObjectEvent, WorkloadPatch } from './ports.ts';
import type { SlotPlan } from './slot-plan.ts';

export interface WorkloadFacts {
  readonly workload: Workload;
  readonly record: SwapRecord;
  readonly slots: readonly PlannedSlot[];
  /** True when one more workload may roll out because of a swap. */
  readonly isPlaceFree: boolean;
  readonly requeueAfterMs: number;
  readonly nowMs: number;
}

export interface PlannedSlot {
  readonly plan: SlotPlan;
  /** Undefined for slots that need no copy. */
  readonly copy: CopyState | undefined;
}

export type Action =
  | { readonly kind: 'swap'; readonly patch: WorkloadPatch }
  | { readonly kind: 'tell'; readonly event: ObjectEvent };

/** Why nothing is swapped now, in the words of the log; undefined when there is nothing left to do. */
export type Waiting =
  | 'owned by another controller'
  | 'copying'
  | 'no copy'
  | 'terminating'
  | 'paused'
  | 'scaled to zero'
  | 'rolling out'
  | 'too many rollouts';

export interface Decision {
  readonly actions: readonly Action[];
  readonly waiting?: Waiting;
  /** When to look again if nothing is heard before; undefined: only when something changes. */
  readonly lookAgainMs?: number;
}

export type VerifiedSlot = PlannedSlot & {
  readonly plan: SlotPlan & { readonly is: 'to be backed up' };
  readonly copy: CopyState & { readonly phase: 'verified' };
};

export function isVerified(slot: PlannedSlot): slot is VerifiedSlot {
  return slot.plan.is === 'to be backed up' && slot.copy?.phase === 'verified';
}

function isCopying({ plan, copy }: PlannedSlot): boolean {
  return plan.is === 'to be backed up' && (copy === undefined || copy.phase === 'pending');
}

function tellProblem({ plan, copy }: PlannedSlot): readonly Action[] {
  if (plan.is === 'invalid') {
    const note = `Image of ${slotKey(plan.slot)} is not backed up: ${plan.message}.`;
    return [{ kind: 'tell', event: { type: 'Warning', reason: 'InvalidImage', action: 'CopyImage', note } }];
  }
  if (copy?.phase === 'failed') {
    const note = `Image of ${slotKey(plan.slot)} is not backed up (${copy.reason}): ${copy.message}. The workload stays as it is.`;
    return [{ kind: 'tell', event: { type: 'Warning', reason: 'CopyFailed', action: 'CopyImage', note } }];
  }
  return [];
}

/** Slots that are gone, or that somebody has pointed elsewhere, leave the record. */
function planRecord(facts: WorkloadFacts, swapped: readonly VerifiedSlot[]): SwapRecord {
  const { workload, record, nowMs } = facts;
  const kept = new Set(
    workload.slots.filter((slot) => record.copies.get(slotKey(slot)) === slot.image).map(slotKey),
  );
  const keep = (entries: ReadonlyMap<string, string>): (readonly [string, string])[] =>
    [...entries].filter(([key]) => kept.has(key));
  return {
    originals: new Map([
      ...keep(record.originals),
      ...swapped.map(({ plan }) => [slotKey(plan.slot), plan.original] as const),
    ]),
    copies: new Map([
      ...keep(record.copies),
      ...swapped.map(({ plan, copy }) => [slotKey(plan.slot), copy.written] as const),
    ]),
    generation: workload.rollout.generation + 1,
    swappedAtMs: nowMs,
  };
}

function planSwap(facts: WorkloadFacts, swapped: readonly VerifiedSlot[]): WorkloadPatch {
  return {
    slots: swapped.map(({ plan, copy }) => ({
      place: plan.slot.place,
      name: plan.slot.name,
      image: copy.written,
    })),
    annotations: formatRecord(planRecord(facts, swapped)),
  };
}

/** First reason not to swap, from the lasting to the passing. */
function findReasonToWait(facts: WorkloadFacts): Waiting | undefined {
  if (facts.workload.owner !== undefined) {
    return 'owned by another controller';
  }
  if (facts.slots.some(isCopying)) {
    return 'copying';
  }
  if (!facts.slots.some(isVerified)) {
    return 'no copy';
  }
  return whyNotSwappable(facts.workload) ?? (facts.isPlaceFree ? undefined : 'too many rollouts');
}

/**
 * Decides what to do for one workload. Same facts, same decision: no clock, no network, no cluster.
 * All verified slots move in one patch, so that a workload rolls once and not once per container.
 */
export function decide(facts: WorkloadFacts): Decision {
  const problems = facts.slots.flatMap(tellProblem);
  if (!facts.slots.some(({ plan }) => plan.is === 'to be backed up')) {
    return { actions: problems };
  }
  const waiting = findReasonToWait(facts);
  if (waiting === undefined) {
    const patch = planSwap(facts, facts.slots.filter(isVerified));
    return { actions: [...problems, { kind: 'swap', patch }] };
  }
  const isHeardOf =
    waiting === 'copying' || waiting === 'no copy' || waiting === 'owned by another controller';
  return { actions: problems, waiting, ...(isHeardOf ? {} : { lookAgainMs: facts.requeueAfterMs }) };
}
