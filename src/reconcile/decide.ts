import type { Destination } from '../images/copy-name.ts';
import type { Settings } from '../settings.ts';
import { type SwapRecord, formatRecord, slotKey } from '../workloads/record.ts';
import { whyNotSwappable } from '../workloads/rollout.ts';
import type { Pod, Workload } from '../workloads/workload.ts';
import type { Copy, CopyState } from './copy-state.ts';
import { type Restore, decideRestore } from './decide-restore.ts';
import { planDeferral, planPolicyEvents } from './deferral.ts';
import { planObservation } from './observe.ts';
import type { AppliedPolicy } from './policy.ts';
import type { ObjectEvent, WorkloadPatch } from './ports.ts';
import { type CopiedSlot, isCopied, type SlotPlan } from './slot-plan.ts';
import { planEvents, tellForeign } from './tell.ts';
import { type Undo, findHoldEndMs, isSwapInFlight, planUndo } from './undo.ts';

export interface WorkloadFacts {
  readonly workload: Workload;
  readonly record: SwapRecord;
  readonly slots: readonly PlannedSlot[];
  readonly mode: Settings['MODE'];
  readonly policy: AppliedPolicy;
  readonly destination: Destination;
  /** Whether a workload follows a tag that has moved at its source (ON_SOURCE_CHANGE). */
  readonly followsTags: boolean;
  /** True when one more workload may roll out because of a swap. */
  readonly isPlaceFree: boolean;
  readonly requeueAfterMs: number;
  /** Of nodes that could not start a pod from a copy, because nothing is copied for them. */
  readonly foreignPlatforms?: readonly string[];
  /** Pods of the workload, while a swap of it rolls out. */
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

export interface PlannedSlot {
  readonly plan: SlotPlan;
  /** Undefined for slots that need no copy. */
  readonly copy: CopyState | undefined;
}

/** A slot, and the verified copy that it is to hold. */
export interface SlotSwap {
  readonly plan: CopiedSlot;
  readonly copy: Copy;
}

/** Why nothing is swapped now, in the words of the log; undefined when there is nothing left to do. */
export type Waiting =
  | 'MODE copy'
  | 'policy copy'
  | 'owned by another controller'
  | 'left to its manager'
  | 'copying'
  | 'no copy'
  | 'nodes of other platforms'
  | 'held after a swap that failed'
  | 'terminating'
  | 'paused'
  | 'scaled to zero'
  | 'rolling out'
  | 'too many rollouts';

export interface Decision {
  /** What the user should know now; the same as before is not told again. */
  readonly events: readonly ObjectEvent[];
  readonly undo?: Undo;
  readonly swap?: { readonly slots: readonly SlotSwap[]; readonly patch: WorkloadPatch };
  readonly restore?: Restore;
  /** What would be done if MODE allowed it, in clauses for the log. */
  readonly observation?: readonly string[];
  readonly waiting?: Waiting;
  /** When to look again if nothing is heard before; undefined: only when something changes. */
  readonly lookAgainMs?: number;
}

/** The copy that a slot should hold and does not; undefined when there is none, or none that is verified. */
function findWantedSwap({ plan, copy }: PlannedSlot, followsTags: boolean): SlotSwap | undefined {
  if (!isCopied(plan) || plan.runsOther !== undefined || copy?.phase !== 'verified') {
    return undefined;
  }
  if (plan.is === 'to be backed up') {
    return { plan, copy };
  }
  const moved = copy.sourceChange?.is === 'moved' ? copy.sourceChange.copy : undefined;
  return followsTags && moved ? { plan, copy: moved } : undefined;
}

/** A pod can come to any node: while there is one that no copy is for, none is used. */
function isForeign({ foreignPlatforms = [] }: WorkloadFacts): boolean {
  return foreignPlatforms.length > 0;
}

function findSwaps(facts: WorkloadFacts): readonly SlotSwap[] {
  return isForeign(facts) ? [] : facts.slots.flatMap((slot) => findWantedSwap(slot, facts.followsTags) ?? []);
}

/** How long a failure that may pass holds up the other slots, so that the workload need not roll twice. */
const PATIENCE_MS = 15 * 60_000;

/** When a copy that failed is not waited for any longer; undefined when it is not, or was never worth waiting for. */
function findPatienceEndMs(copy: CopyState | undefined, nowMs: number): number | undefined {
  const endMs = copy?.phase === 'failed' && !copy.isFinal ? copy.sinceMs + PATIENCE_MS : 0;
  return endMs > nowMs ? endMs : undefined;
}

function isCopying({ plan, copy }: PlannedSlot, nowMs: number): boolean {
  const isUnderWay = copy === undefined || copy.phase === 'pending';
  return plan.is === 'to be backed up' && (isUnderWay || findPatienceEndMs(copy, nowMs) !== undefined);
}

/** Slots that are gone, or that somebody has pointed elsewhere, leave the record. */
function planRecord(facts: WorkloadFacts, swaps: readonly SlotSwap[]): SwapRecord {
  const { workload, record, nowMs } = facts;
  const kept = new Set(
    workload.slots.filter((slot) => record.copies.get(slotKey(slot)) === slot.image).map(slotKey),
  );
  const keep = (entries: ReadonlyMap<string, string>): (readonly [string, string])[] =>
    [...entries].filter(([key]) => kept.has(key));
  return {
    originals: new Map([
      ...keep(record.originals),
      ...swaps.map(({ plan }) => [slotKey(plan.slot), plan.original] as const),
    ]),
    copies: new Map([
      ...keep(record.copies),
      ...swaps.map(({ plan, copy }) => [slotKey(plan.slot), copy.written] as const),
    ]),
    before: new Map(swaps.map(({ plan }) => [slotKey(plan.slot), plan.slot.image])),
    swappedAtMs: nowMs,
    ...(record.hold && { hold: record.hold }),
  };
}

function planPatch(facts: WorkloadFacts, swaps: readonly SlotSwap[]): WorkloadPatch {
  return {
    slots: swaps.map(({ plan: { slot }, copy }) => ({
      place: slot.place,
      name: slot.name,
      image: copy.written,
    })),
    annotations: formatRecord(planRecord(facts, swaps)),
  };
}

/** Why a copy is all that is wanted; undefined when the workload may be swapped. */
function findReasonToCopyOnly({ mode, policy, workload }: WorkloadFacts): Waiting | undefined {
  if (mode === 'copy') {
    return 'MODE copy';
  }
  if (policy.policy === 'swap') {
    return undefined;
  }
  if (policy.from !== 'recognized') {
    return 'policy copy';
  }
  return workload.owner === undefined ? 'left to its manager' : 'owned by another controller';
}

/** First reason not to swap; before anything else, what the user is told about copies has to be true. */
function findReasonToWait(facts: WorkloadFacts, swaps: readonly SlotSwap[]): Waiting | undefined {
  if (facts.slots.some((slot) => isCopying(slot, facts.nowMs))) {
    return 'copying';
  }
  if (isForeign(facts)) {
    return 'nodes of other platforms';
  }
  if (swaps.length === 0) {
    return 'no copy';
  }
  const copyOnly = findReasonToCopyOnly(facts);
  if (copyOnly !== undefined) {
    return copyOnly;
  }
  if (findHoldEndMs(facts.workload, facts.record, facts.nowMs) !== undefined) {
    return 'held after a swap that failed';
  }
  return whyNotSwappable(facts.workload) ?? (facts.isPlaceFree ? undefined : 'too many rollouts');
}

/** These end with something that is heard of. */
const HEARD_OF: ReadonlySet<Waiting> = new Set([
  'no copy',
  'MODE copy',
  'policy copy',
  'owned by another controller',
  'left to its manager',
]);

function planLookAgain(facts: WorkloadFacts, waiting: Waiting): Pick<Decision, 'lookAgainMs'> {
  const holdEndMs = findHoldEndMs(facts.workload, facts.record, facts.nowMs);
  if (waiting === 'held after a swap that failed' && holdEndMs !== undefined) {
    return { lookAgainMs: holdEndMs - facts.nowMs };
  }
  if (waiting === 'copying') {
    const ends = facts.slots.flatMap(({ copy }) => findPatienceEndMs(copy, facts.nowMs) ?? []);
    return ends.length === 0 ? {} : { lookAgainMs: Math.min(...ends) - facts.nowMs };
  }
  return HEARD_OF.has(waiting) ? {} : { lookAgainMs: facts.requeueAfterMs };
}

/** While a swap rolls out, pods may get stuck without a word from the workload. */
function watchSwap(facts: WorkloadFacts): Pick<Decision, 'lookAgainMs'> {
  const LONGEST_MS = 10_000;
  return isSwapInFlight(facts.workload, facts.record, facts.nowMs)
    ? { lookAgainMs: Math.min(facts.requeueAfterMs, LONGEST_MS) }
    : {};
}

function decideSwap(facts: WorkloadFacts): Decision {
  const undo = planUndo(facts);
  if (undo) {
    return { events: [undo.event], undo };
  }
  const events = [
    ...planPolicyEvents(facts),
    ...facts.slots.flatMap(({ plan, copy }) => planEvents(plan, copy, facts.record)),
    ...tellForeign(facts.slots, facts.foreignPlatforms ?? []),
  ];
  const swaps = findSwaps(facts);
  if (swaps.length === 0 && !facts.slots.some(({ plan }) => plan.is === 'to be backed up')) {
    return { events, ...watchSwap(facts) };
  }
  const waiting = findReasonToWait(facts, swaps);
  if (waiting === undefined) {
    return { events, swap: { slots: swaps, patch: planPatch(facts, swaps) } };
  }
  return {
    events: [...events, ...planDeferral(waiting, facts)],
    waiting,
    ...planLookAgain(facts, waiting),
    ...watchSwap(facts),
  };
}

/**
 * Decides what to do for one workload. Same facts, same decision: no clock, no network, no cluster.
 * All verified slots move in one patch, so that a workload rolls once and not once per container.
 */
export function decide(facts: WorkloadFacts): Decision {
  if (facts.mode === 'restore') {
    return decideRestore(facts);
  }
  return facts.mode === 'observe' ? { events: [], observation: planObservation(facts) } : decideSwap(facts);
}
