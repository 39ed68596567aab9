import { keepsStuckPods } from '../../workloads/rollout.ts';
import type { FreePod, RecheckCopies } from './action.ts';
import type { WorkloadFacts } from './decision.ts';
import { planStuckPods } from './pods/stuck-pods.ts';
import { isIgnored } from './policy.ts';
import { findRequest } from './slots/planned-slot.ts';
import { makesCopies } from './wanted-copies.ts';

/**
 * Copies that are looked at again: all when the user asks for it, those that failed when pods have just started. Those may
 * read what could not be read before, and tell that somebody is at work.
 */
function planRecheck(facts: WorkloadFacts): readonly RecheckCopies[] {
  const { isRefreshAsked, hasJustRolledOut, mode, slots } = facts;
  const isDue = makesCopies(mode) && (isRefreshAsked || hasJustRolledOut);
  const requests = slots.flatMap(({ plan, copy }) =>
    isDue && (isRefreshAsked || copy?.phase === 'failed') ? (findRequest(plan) ?? []) : [],
  );
  return requests.length === 0 ? [] : [{ is: 'recheck copies', requests }];
}

/** What is to be ignored is left alone in pods as well; a restore is for all. */
function planFreePods(facts: WorkloadFacts): readonly FreePod[] {
  const { workload, destination, mode, policy } = facts;
  const slots =
    mode === 'restore' ? workload.slots : workload.slots.filter((slot) => !isIgnored(slot, policy));
  if (slots.length === 0 || !keepsStuckPods(workload)) {
    return [];
  }
  const patches = planStuckPods({ ...facts, workload: { ...workload, slots }, prefix: destination.prefix });
  return patches.map((patch) => ({ is: 'free pod', patch }));
}

/** What is done for a workload whatever else is decided. */
export function planUpkeep(facts: WorkloadFacts): readonly (RecheckCopies | FreePod)[] {
  return [...planRecheck(facts), ...planFreePods(facts)];
}
