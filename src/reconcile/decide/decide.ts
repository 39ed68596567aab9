import { findSwappedSlots } from '../../workloads/record.ts';
import { isRolledOut } from '../../workloads/rollout.ts';
import { decideRestore } from './originals/decide-restore.ts';
import type { Action, SlotSwap, Waiting } from './action.ts';
import type { ObjectEvent } from '../events/object-event.ts';
import type { Decision, WorkloadFacts } from './decision.ts';
import { planDeferral, planPolicyEvents } from './swaps/deferral.ts';
import { planObservation } from './observe.ts';
import { decideTooLarge } from './too-large.ts';
import { planUpkeep } from './upkeep.ts';
import { isReleaseDue } from './originals/ownership.ts';
import { findRescue, listRunningDigests, needsRescue, planRescueEvents } from './swaps/rescue.ts';
import { type Revert, planRevert } from './originals/revert.ts';
import { type PlannedSlot, findOther, isCopied } from './slots/planned-slot.ts';
import { mayHaveStuckPods } from './pods/stuck-pods.ts';
import { findHold } from './swaps/current-hold.ts';
import { planSwapPatch } from './swaps/swap-patch.ts';
import { planEvents, planUncoveredEvents, planOnePlatformEvents } from './slots/copy-events.ts';
import { isSwapWatched } from './swaps/swap-in-flight.ts';
import { findGraceEndMs } from './swaps/swap-failure.ts';
import { hasJustSucceeded, isToBeSeen } from './swaps/swap-success.ts';
import { planUndo } from './originals/undo.ts';
import { findLastingReason, findWaiting, hasUncoveredPlatform, planRequeueAfterMs } from './swaps/waiting.ts';

/** The copy that a slot should hold and does not; undefined when there is none, or none that is verified. */
function findWantedSwap({ plan, copy }: PlannedSlot, followsTags: boolean): SlotSwap | undefined {
  if (!isCopied(plan) || copy?.phase !== 'verified' || findOther(plan, copy) !== undefined) {
    return undefined;
  }
  if (plan.is === 'to be backed up') {
    return { plan, copy };
  }
  const moved = copy.sourceChange?.is === 'moved' ? copy.sourceChange.copy : undefined;
  return followsTags && moved ? { plan, copy: moved } : undefined;
}

/** Slots that only a rescue can help are not among them. */
function findSwaps(facts: WorkloadFacts, revert: Revert | undefined): readonly SlotSwap[] {
  const unaided = hasUncoveredPlatform(facts) ? [] : facts.slots.filter(({ plan }) => !needsRescue(plan));
  const swaps = unaided.flatMap((slot) => findWantedSwap(slot, facts.followsTags) ?? []);
  return revert?.is === 'to be swapped again' ? keepKnown(swaps, facts) : swaps;
}

/** A swap that is made again does not wait for pods that show what runs: only what the record tells is known then. */
function keepKnown(swaps: readonly SlotSwap[], { workload }: WorkloadFacts): readonly SlotSwap[] {
  return isRolledOut(workload)
    ? swaps
    : swaps.filter(({ plan: { request } }) => (request.digest ?? request.source.digest) !== undefined);
}

/** True for a workload that may be swapped as soon as a pod of it cannot pull its original. */
function mayRescue(facts: WorkloadFacts): boolean {
  const { terminating, paused } = facts.workload.rollout;
  return !terminating && !paused && findLastingReason(facts, 'rescue') === undefined;
}

/** A pod starts only with all of its images: the copies of several that are gone are waited for, and used in one patch. */
function isRescueToCome({ plan, copy }: PlannedSlot): boolean {
  return needsRescue(plan) && (copy === undefined || copy.phase === 'pending');
}

/**
 * Slots whose originals the nodes cannot pull, and that need not wait for anything. Only these: of the others nothing
 * proves yet that the workload may read their copies.
 */
function findRescues(facts: WorkloadFacts): readonly SlotSwap[] {
  if (!mayRescue(facts) || hasUncoveredPlatform(facts) || facts.slots.some(isRescueToCome)) {
    return [];
  }
  // What a swap has put there and no node can pull is not to be rescued, but to be undone.
  const swapped = new Set(isSwapWatched(facts) ? findSwappedSlots(facts.workload.slots, facts.record) : []);
  const running = listRunningDigests(facts.pods);
  return facts.slots.flatMap(({ plan, copy }) => {
    const found = swapped.has(plan.slot) ? undefined : findRescue({ plan, copy, running });
    return found && isCopied(plan) ? [{ plan, copy: found }] : [];
  });
}

/** Between two looks at pods that no watch tells of. */
const SHORTEST_MS = 10_000;

/** The longer ago the swap, the less it matters when a pod of it is seen to be stuck. */
function planHasteMs({ workload, record, nowMs }: WorkloadFacts): number {
  const ageMs = nowMs - Math.max(record.swappedAtMs, workload.rollout.startedAtMs ?? 0);
  return Math.max(SHORTEST_MS, ageMs / 60);
}

/** Pods may get stuck without a word from the workload: on the copies of a swap, or on originals that are gone. */
function watchPods(facts: WorkloadFacts, requeueAfterMs = Infinity): Pick<Decision, 'requeueAfterMs'> {
  const { workload, record, nowMs } = facts;
  if (isSwapWatched(facts) || mayHaveStuckPods(workload, record, { isRestoring: false, nowMs })) {
    const graceMs = findGraceEndMs(facts) - nowMs;
    return { requeueAfterMs: Math.min(facts.requeueIntervalMs, planHasteMs(facts), graceMs) };
  }
  if (isToBeSeen(facts)) {
    return { requeueAfterMs: Math.min(facts.requeueIntervalMs, requeueAfterMs) };
  }
  const isWorthIt = facts.slots.some(({ plan }) => plan.is === 'to be backed up');
  const mayNeedRescue = isWorthIt && !isRolledOut(workload) && mayRescue(facts);
  const rescueMs = Math.min(facts.requeueIntervalMs, facts.hasUnseenPods === true ? SHORTEST_MS : Infinity);
  const earliestMs = Math.min(requeueAfterMs, mayNeedRescue ? rescueMs : Infinity);
  return earliestMs === Infinity ? {} : { requeueAfterMs: earliestMs };
}

/** Of the slots of one workload: others want to be heard, too, and who has read so many knows enough. */
const MOST_SLOT_EVENTS = 20;

function collectEvents(facts: WorkloadFacts): readonly ObjectEvent[] {
  const running = listRunningDigests(facts.pods);
  const ofSlots = facts.slots.flatMap(({ plan, copy }) => [
    ...planEvents(plan, copy, facts.record),
    ...planRescueEvents({ plan, copy, running }),
  ]);
  return [
    ...planPolicyEvents(facts),
    ...ofSlots.slice(0, MOST_SLOT_EVENTS),
    ...planUncoveredEvents(facts.slots, facts.uncoveredPlatforms ?? []),
    ...planOnePlatformEvents(facts.slots, facts.nodePlatforms ?? []),
  ];
}

/** What the user should know about the wait. */
function planWaitingEvents(facts: WorkloadFacts, waiting: Waiting): readonly ObjectEvent[] {
  const problem = waiting === 'no pull secret' ? facts.pullSecretProblem : undefined;
  return problem ? [problem] : planDeferral(waiting, facts);
}

function decideSwap(facts: WorkloadFacts): Decision {
  const undo = planUndo(facts);
  if (undo) {
    return { actions: [undo] };
  }
  const { actions, ...rest } = decideWithoutUndo(facts);
  return hasJustSucceeded(facts)
    ? { ...rest, actions: [{ is: 'confirm swap' }, ...actions] }
    : { ...rest, actions };
}

function planSwap(
  facts: WorkloadFacts,
  slots: readonly SlotSwap[],
  cause: { readonly revert: Revert | undefined; readonly isRescue: boolean },
): Action {
  return {
    is: 'swap',
    slots,
    patch: planSwapPatch(facts, slots, cause.revert),
    isRescue: cause.isRescue,
  };
}

function decideWithoutUndo(facts: WorkloadFacts): Decision {
  const events = collectEvents(facts);
  const revert = planRevert(facts);
  const rescues = findRescues(facts);
  if (rescues.length > 0) {
    return { actions: [planSwap(facts, rescues, { revert, isRescue: true })], events };
  }
  // Where a swap is not wanted, whoever put the originals back has done what the user asks for.
  if (revert?.is === 'to be held' && findLastingReason(facts) === undefined) {
    return { actions: [revert.hold], events };
  }
  const release: readonly Action[] = isReleaseDue(facts.workload, facts.record)
    ? [{ is: 'release images' }]
    : [];
  const swaps = findSwaps(facts, revert);
  if (swaps.length === 0 && !facts.slots.some(({ plan }) => plan.is === 'to be backed up')) {
    return { actions: release, events, ...watchPods(facts) };
  }
  const waiting = findWaiting(facts, swaps, revert);
  if (waiting === undefined) {
    return { actions: [planSwap(facts, swaps, { revert, isRescue: false })], events };
  }
  return {
    actions: [...release, { is: 'wait', reason: waiting }],
    events: [...events, ...planWaitingEvents(facts, waiting)],
    ...watchPods(facts, planRequeueAfterMs(facts, waiting, revert)),
  };
}

/**
 * Decides what to do for one workload. Same facts, same decision: no clock, no network, no cluster.
 * All verified slots move in one patch, so that a workload rolls once and not once per container.
 */
export function decide(facts: WorkloadFacts): Decision {
  if (facts.workload.tooLarge !== undefined) {
    return decideTooLarge(facts.workload.tooLarge, facts.mode);
  }
  if (facts.mode === 'observe') {
    const would = planObservation({ ...facts, heldUntilMs: findHold(facts)?.untilMs });
    return { actions: [{ is: 'observe', would }], events: [] };
  }
  const { actions, ...rest } = facts.mode === 'restore' ? decideRestore(facts) : decideSwap(facts);
  return { ...rest, actions: [...planUpkeep(facts), ...actions] };
}
