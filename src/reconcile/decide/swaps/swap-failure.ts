import { findSwappedSlots, slotKey } from '../../../workloads/record.ts';
import type { Pod, PodContainer } from '../../../workloads/workload.ts';
import { findPullFailure, isPullFailure } from '../pods/pull-failure.ts';
import { type RefusalFacts, findRefusal, findRefusalCountsFromMs } from '../slots/refusal.ts';
import { type PlannedSlot, findOther } from '../slots/planned-slot.ts';
import { type FlightFacts, LONGEST_ROLLOUT_MS, isSwapInFlight, isSwapOnTrial } from './swap-in-flight.ts';
import { type TemplateFacts, listSwapPods } from '../pods/template-pods.ts';
import { findUnreadySinceMs, isCrashing } from '../pods/unready-pod.ts';

/** A registry may stumble, and the kubelet tries again; with no pod left that serves, there is no time for that. */
const GRACE_MS = 45_000;
/** An image that does not run was started four times by then, if the kubelet waits as long as it usually does. */
const CRASH_GRACE_MS = 120_000;

export interface SwapFacts extends TemplateFacts, FlightFacts {
  /** Since when it has had fewer pods than it wants; undefined while it has them. */
  readonly missingSinceMs?: number;
  readonly pods: readonly Pod[];
  /** Slots of the workload, with what is known of their copies. */
  readonly slots?: readonly PlannedSlot[];
}

/** What the swap has done to the pods, in whose words, and what helps. */
export interface SwapFailure {
  readonly cause: 'not pulled' | 'refused' | 'not ready' | 'another image';
  readonly what: string;
  readonly quote: string;
  readonly help: string;
}

/** From when on it counts what the kubelet says of a pod. */
function findPullCountsFromMs(
  { createdAtMs, scheduledAtMs = 0, replacedAtMs = -Infinity }: Pod,
  { workload }: SwapFacts,
): number {
  const isUrgent = workload.rollout.available === 0;
  const startedAtMs = isUrgent ? -Infinity : Math.max(createdAtMs, scheduledAtMs);
  return Math.max(startedAtMs, replacedAtMs) + GRACE_MS;
}

/** Of a pod that got the copy in place, only what is said of the copy: the rest may still be about the original. */
function withoutOldWords(pod: Pod): Pod {
  // A runtime names an image by its digest, with or without the tag.
  const isAboutItsImage = ({ image, waiting }: PodContainer): boolean =>
    waiting?.message.includes(image.slice(image.lastIndexOf('@') + 1)) === true;
  return pod.replacedAtMs === undefined
    ? pod
    : { ...pod, containers: pod.containers.filter(isAboutItsImage) };
}

/** A pod that cannot pull its image, and has had its time to. */
function findPullingPod(facts: SwapFacts, pods: readonly Pod[]): SwapFailure | undefined {
  const { workload, record } = facts;
  const old = pods.filter((pod) => facts.nowMs >= findPullCountsFromMs(pod, facts)).map(withoutOldWords);
  const found = findPullFailure(findSwappedSlots(workload.slots, record), old);
  return (
    found && {
      cause: 'not pulled',
      what: `a node cannot run the copy of ${slotKey(found.slot)}`,
      quote: `${found.reason}: ${found.message}`,
      help:
        record.pullSecret === undefined
          ? 'Give the nodes access to the backup registry, for example by PULL_SECRET'
          : 'See whether the Secret that PULL_SECRET names may pull from the backup registry',
    }
  );
}

function toRefusalFacts(facts: SwapFacts, pods: readonly Pod[]): RefusalFacts {
  return { ...facts, hasSwapPods: pods.length > 0, swappedAtMs: facts.record.swappedAtMs };
}

/** The API server refuses the new pods: a quota has no room for them, or a policy does not want the copies. */
function findRefusedPods(facts: SwapFacts, pods: readonly Pod[]): SwapFailure | undefined {
  const { workload, record, nowMs } = facts;
  // Later on it is not the swap that they are refused for, but a workload that grows.
  if (nowMs - record.swappedAtMs >= LONGEST_ROLLOUT_MS && !workload.rollout.onDelete) {
    return undefined;
  }
  const quote = findRefusal(toRefusalFacts(facts, pods));
  const help = 'Make room for them, or allow the backup registry in the policy that refuses it';
  return quote === undefined
    ? undefined
    : { cause: 'refused', what: 'pods with the copies cannot be created', quote, help };
}

/** Nodes without room are no failure of the swap: pods wait for them with any image. */
function lacksRoom({ unscheduled = '' }: Pod): boolean {
  return /Insufficient|Too many pods/u.test(unscheduled);
}

function describeUnready({ containers, unscheduled, unready }: Pod): string {
  const waiting = containers.map((container) => container.waiting).find((one) => one !== undefined);
  const words = waiting && [waiting.reason, waiting.message].filter(Boolean).join(': ');
  return words ?? unscheduled ?? unready ?? 'its node does not say why';
}

/** From when on it counts that a pod is not ready; never while it is. An image that crashes is not waited for where no pod serves. */
function findUnreadyCountsFromMs(pod: Pod, { workload, record, rolloutTimeoutMs }: SwapFacts): number {
  const names = new Set(findSwappedSlots(workload.slots, record).map(({ name }) => name));
  const isUrgent =
    workload.rollout.available === 0 && pod.containers.some((one) => names.has(one.name) && isCrashing(one));
  const sinceMs = Math.max(findUnreadySinceMs(pod) ?? Infinity, record.swappedAtMs);
  return sinceMs + (isUrgent ? Math.min(CRASH_GRACE_MS, rolloutTimeoutMs) : rolloutTimeoutMs);
}

/** A pod that does not get ready for whatever reason. */
function findUnreadyPod(facts: SwapFacts, pods: readonly Pod[]): SwapFailure | undefined {
  if (!isSwapOnTrial(facts)) {
    return undefined;
  }
  const found = pods.find((pod) => !lacksRoom(pod) && facts.nowMs >= findUnreadyCountsFromMs(pod, facts));
  return (
    found && {
      cause: 'not ready',
      what: `the pod ${found.name} with the copies does not become ready`,
      quote: describeUnready(found),
      help:
        'The pods before it were ready with the same images: see what they miss on this node, or whether it takes ' +
        'longer than ROLLOUT_TIMEOUT',
    }
  );
}

/** Pods run, and something else than the copy: admission, or the node, has made another image of it. */
function findOtherImage({ workload, record, slots = [], nowMs }: SwapFacts): SwapFailure | undefined {
  const swapped = new Set(findSwappedSlots(workload.slots, record).map(slotKey));
  const isRecent = nowMs - record.swappedAtMs < LONGEST_ROLLOUT_MS;
  for (const { plan, copy } of isRecent ? slots : []) {
    const other = plan.is === 'backed up' && swapped.has(slotKey(plan.slot)) && findOther(plan, copy);
    if (other) {
      return {
        cause: 'another image',
        what: `its pods do not run the copy in ${slotKey(plan.slot)}`,
        quote: other,
        help: 'Let the policy or the mirror that changes it leave the backup registry alone',
      };
    }
  }
  return undefined;
}

/** How the last swap has failed; undefined: it may still succeed, has succeeded, or somebody else has to help. */
export function findSwapFailure(facts: SwapFacts): SwapFailure | undefined {
  const pods = listSwapPods(facts.pods, facts);
  const stuck = isSwapInFlight(facts.workload, facts.record, facts.nowMs)
    ? (findPullingPod(facts, pods) ?? findRefusedPods(facts, pods))
    : undefined;
  return stuck ?? findUnreadyPod(facts, pods) ?? findOtherImage(facts);
}

/**
 * When the last swap may be seen to have failed although nothing happens until then: a time of grace ends. Infinity when none
 * is running.
 */
export function findGraceEndMs(facts: SwapFacts): number {
  const pods = listSwapPods(facts.pods, facts);
  const ends = [
    findRefusalCountsFromMs(toRefusalFacts(facts, pods)),
    ...pods.flatMap((pod) => [
      pod.containers.some(isPullFailure) ? findPullCountsFromMs(pod, facts) : Infinity,
      findUnreadyCountsFromMs(pod, facts),
    ]),
  ];
  return Math.min(...ends.filter((endMs) => endMs > facts.nowMs));
}
