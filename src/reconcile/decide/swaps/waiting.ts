import { whyNotSwappable } from '../../../workloads/rollout.ts';
import { type CopyState, isForOnePlatform } from '../../copies/copy-state.ts';
import type { SlotSwap, Waiting } from '../action.ts';
import type { WorkloadFacts } from '../decision.ts';
import type { Revert } from '../originals/revert.ts';
import type { PlannedSlot } from '../slots/planned-slot.ts';
import { findFailureHoldEndMs } from '../originals/undo.ts';

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

/** A pod can come to any node: while there is one that no copy is for, none is used. */
export function hasUncoveredPlatform({
  uncoveredPlatforms = [],
  nodePlatforms = [],
  slots,
}: WorkloadFacts): boolean {
  const isForOne = slots.some(({ copy }) => isForOnePlatform(copy));
  return uncoveredPlatforms.length > 0 || (nodePlatforms.length > 1 && isForOne);
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

/** A hold for copies that no node could pull stands against a rescue as well. */
function isHeld({ workload, record, nowMs }: WorkloadFacts, purpose: 'swap' | 'rescue'): boolean {
  const isPassed = purpose === 'rescue' && record.hold?.isPullable === true;
  return !isPassed && findFailureHoldEndMs(workload, record, nowMs) !== undefined;
}

/** Reasons that do not pass by themselves soon. */
export function findLastingReason(
  facts: WorkloadFacts,
  purpose: 'swap' | 'rescue' = 'swap',
): Waiting | undefined {
  const copyOnly = findReasonToCopyOnly(facts);
  if (copyOnly !== undefined) {
    return copyOnly;
  }
  if (isHeld(facts, purpose)) {
    return 'held after a swap that failed';
  }
  return facts.deniedUntilMs === undefined ? undefined : 'refused by the API server';
}

/** A swap that was reverted is made again at once: the rollout that it would wait for is the one that it ends. */
function findNotSwappable({ workload }: WorkloadFacts, revert: Revert | undefined): Waiting | undefined {
  if (revert?.is === 'held') {
    return 'held after a swap that was reverted';
  }
  const why = whyNotSwappable(workload);
  return why === 'rolling out' && revert?.is === 'to be swapped again' ? undefined : why;
}

/** First reason not to swap; before anything else, what the user is told about copies has to be true. */
export function findWaiting(
  facts: WorkloadFacts,
  swaps: readonly SlotSwap[],
  revert: Revert | undefined,
): Waiting | undefined {
  if (facts.slots.some((slot) => isCopying(slot, facts.nowMs))) {
    return 'copying';
  }
  if (hasUncoveredPlatform(facts)) {
    return 'nodes of other platforms';
  }
  if (swaps.length === 0) {
    return 'no copy';
  }
  const secret = facts.pullSecretProblem ? 'no pull secret' : undefined;
  return findLastingReason(facts) ?? secret ?? findNotSwappable(facts, revert) ?? facts.rolloutWait;
}

/** These end with something that is heard of. */
const HEARD_OF: ReadonlySet<Waiting> = new Set([
  'no copy',
  'MODE copy',
  'policy copy',
  'owned by another controller',
  'left to its manager',
]);

/** End of a wait that ends at a known time. */
function findEndMs(facts: WorkloadFacts, waiting: Waiting, revert: Revert | undefined): number | undefined {
  const { workload, record, slots, nowMs } = facts;
  const patience = slots.flatMap(({ copy }) => findPatienceEndMs(copy, nowMs) ?? []);
  const ends: Partial<Record<Waiting, number | undefined>> = {
    'held after a swap that was reverted': revert?.is === 'held' ? revert.untilMs : undefined,
    'held after a swap that failed': findFailureHoldEndMs(workload, record, nowMs),
    'refused by the API server': facts.deniedUntilMs,
    copying: Math.min(Infinity, ...patience),
  };
  return ends[waiting];
}

/** When to look again at a workload that waits; Infinity when it will be heard of. */
export function planRequeueAfterMs(
  facts: WorkloadFacts,
  waiting: Waiting,
  revert: Revert | undefined,
): number {
  const endMs = findEndMs(facts, waiting, revert);
  const otherwiseMs = HEARD_OF.has(waiting) ? Infinity : facts.requeueIntervalMs;
  return endMs === undefined ? otherwiseMs : endMs - facts.nowMs;
}
