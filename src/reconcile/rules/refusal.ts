import type { Pod, Slot, Workload } from '../../workloads/workload.ts';

/** A quota may be full for a moment, while old pods end. */
const GRACE_MS = 45_000;
/** With no pod left that serves. */
const SHORT_GRACE_MS = 10_000;

export interface RefusalFacts {
  readonly workload: Workload;
  /** Slots that hold the copies of the last swap. */
  readonly copies: readonly Slot[];
  readonly swappedAtMs: number;
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

/**
 * DaemonSets and StatefulSets do not say that their pods are refused, except in events. But pods are missing, and long
 * after the swap there has not been a single pod with a copy.
 */
function isSilentlyRefused({ workload, copies, pods }: RefusalFacts): boolean {
  const { current, desired, observedGeneration, generation } = workload.rollout;
  const images = new Set(copies.filter(({ place }) => place !== 'volumes').map(({ image }) => image));
  const runsCopy = pods.some(({ containers }) => containers.some(({ image }) => images.has(image)));
  const isMissing = observedGeneration >= generation && current < desired;
  const isSilent = workload.kind === 'DaemonSet' || workload.kind === 'StatefulSet';
  return isSilent && isMissing && images.size > 0 && !runsCopy;
}

/** Why the pods of a swapped workload are not created, when that lasts; undefined when they are. */
export function findRefusal(facts: RefusalFacts): string | undefined {
  const { refused, available } = facts.workload.rollout;
  const sinceMs = Math.max(refused?.sinceMs ?? 0, facts.swappedAtMs);
  if (facts.nowMs - sinceMs < (available === 0 ? SHORT_GRACE_MS : GRACE_MS)) {
    return undefined;
  }
  if (refused) {
    return refused.message;
  }
  return isSilentlyRefused(facts) ? `the events of the ${facts.workload.kind} say why` : undefined;
}
