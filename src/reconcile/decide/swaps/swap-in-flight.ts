import { KINDS } from '../../../workloads/kinds.ts';
import { type SwapRecord, findSwappedSlots } from '../../../workloads/record.ts';
import { isRolledOut } from '../../../workloads/rollout.ts';
import type { Workload } from '../../../workloads/workload.ts';

/** A rollout that has not ended after that long is not ours any more: whatever happens now has other reasons. */
export const LONGEST_ROLLOUT_MS = 3_600_000;
/** Unless not every pod has got the copy yet, or none serves: then it may never have been seen to work. */
const LONGEST_TRIAL_MS = 24 * 3_600_000;
/** A CronJob has no rollout: at every run it is the pods of that run which may not find the copy. */
const LONGEST_START_MS = 10 * 60_000;
/** How far the clocks of this controller and of the API server may be apart. */
const SKEW_MS = 60_000;

export interface FlightFacts {
  readonly workload: Workload;
  readonly record: SwapRecord;
  /** When all pods of the last swap were first seen to run; undefined: not yet. */
  readonly succeededAtMs?: number | undefined;
  /** How long a pod may take to get ready (ROLLOUT_TIMEOUT). */
  readonly rolloutTimeoutMs: number;
  readonly nowMs: number;
}

function isSwapUnfinished(workload: Workload, record: SwapRecord): boolean {
  return !isRolledOut(workload) && findSwappedSlots(workload.slots, record).length > 0;
}

function hasEveryPod({ rollout }: Workload): boolean {
  return rollout.updated >= rollout.desired && rollout.available > 0;
}

function longestFlightMs(workload: Workload): number {
  if (!KINDS[workload.kind].rollsOut) {
    return LONGEST_START_MS;
  }
  return hasEveryPod(workload) ? LONGEST_ROLLOUT_MS : LONGEST_TRIAL_MS;
}

/**
 * True while a swap rolls out, or a run of a swapped CronJob starts. Others may have changed the workload since, as an
 * autoscaler does. Where pods are replaced only when somebody deletes them, that may be any time later.
 */
export function isSwapInFlight(workload: Workload, record: SwapRecord, nowMs: number): boolean {
  const ageMs = nowMs - Math.max(record.swappedAtMs, workload.rollout.startedAtMs ?? 0);
  const isRecent = ageMs < longestFlightMs(workload) || workload.rollout.onDelete;
  return isRecent && isSwapUnfinished(workload, record);
}

/**
 * For how long unready pods count when nobody has seen the swap succeed, as after a restart. Where the workload says that all
 * pods of this template were available once, not for long; not no time, because a container that crashes is available for a
 * moment, and a Deployment that ends its pods before it starts new ones may say so of the old ones. Where it has every pod
 * and its kind never says so, for an hour; otherwise for a day.
 */
function longestTrialMs({ workload, rolloutTimeoutMs }: FlightFacts): number {
  const { completed } = workload.rollout;
  if (completed === true) {
    return 3 * rolloutTimeoutMs;
  }
  const neverSays = completed === undefined && hasEveryPod(workload);
  return neverSays ? Math.max(LONGEST_ROLLOUT_MS, 2 * rolloutTimeoutMs) : LONGEST_TRIAL_MS;
}

/**
 * True while pods that do not get ready are the doing of the swap: they were not seen to run for long enough to crash
 * again and again, what it replaced has served, and nobody has changed the template since.
 */
export function isSwapOnTrial(facts: FlightFacts): boolean {
  const { workload, record, succeededAtMs = Infinity, rolloutTimeoutMs, nowMs } = facts;
  const isChanged = (workload.templateChangedAtMs ?? 0) > record.swappedAtMs + SKEW_MS;
  const isOver = nowMs - succeededAtMs >= 2 * rolloutTimeoutMs;
  const isOpen = record.hasServed === true && !isOver && !isChanged;
  return (
    isOpen &&
    KINDS[workload.kind].rollsOut &&
    nowMs - record.swappedAtMs < longestTrialMs(facts) &&
    isSwapUnfinished(workload, record)
  );
}

/** True while pods of the last swap may show that it has to be undone. */
export function isSwapWatched(facts: FlightFacts): boolean {
  return isSwapInFlight(facts.workload, facts.record, facts.nowMs) || isSwapOnTrial(facts);
}
