import type { Workload } from '../../../workloads/workload.ts';

/** A quota may be full for a moment, while old pods end. */
const GRACE_MS = 45_000;
/** With no pod left that serves. */
const SHORT_GRACE_MS = 10_000;

export interface RefusalFacts {
  readonly workload: Workload;
  /** Pods of the last swap have been created. */
  readonly hasSwapPods: boolean;
  readonly swappedAtMs: number;
  /** Since when it has had fewer pods than it wants. */
  readonly missingSinceMs?: number;
  readonly nowMs: number;
}

/**
 * DaemonSets and StatefulSets do not say that their pods are refused, except in events. But pods are missing for long,
 * and there is not a single pod with a copy.
 */
function isSilentlyRefused({ workload, hasSwapPods }: RefusalFacts): boolean {
  return (workload.kind === 'DaemonSet' || workload.kind === 'StatefulSet') && !hasSwapPods;
}

/** From when on it counts that pods are missing; never while none is. */
export function findRefusalCountsFromMs({ workload, missingSinceMs, swappedAtMs }: RefusalFacts): number {
  const { refused, available } = workload.rollout;
  const troubleMs = refused?.sinceMs ?? missingSinceMs ?? Infinity;
  return Math.max(troubleMs, swappedAtMs) + (available === 0 ? SHORT_GRACE_MS : GRACE_MS);
}

/** Why the pods of a swapped workload are not created, when that lasts; undefined when they are. */
export function findRefusal(facts: RefusalFacts): string | undefined {
  const { refused } = facts.workload.rollout;
  if (facts.nowMs < findRefusalCountsFromMs(facts)) {
    return undefined;
  }
  if (refused) {
    return refused.message;
  }
  return isSilentlyRefused(facts) ? `the events of the ${facts.workload.kind} say why` : undefined;
}
