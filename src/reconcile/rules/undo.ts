import { findReferenceProblem } from '../../images/reference.ts';
import { planFormer } from '../../workloads/former-originals.ts';
import { KINDS } from '../../workloads/kinds.ts';
import { type SwapRecord, findSwappedSlots, formatRecord, slotKey } from '../../workloads/record.ts';
import { isRolledOut } from '../../workloads/rollout.ts';
import { readRefresh } from '../../workloads/user-annotations.ts';
import type { Pod, PodContainer, Workload } from '../../workloads/workload.ts';
import { LONGEST_HOLD_MS, planHoldMs } from './hold.ts';
import type { ObjectEvent, WorkloadPatch } from '../ports.ts';
import { findAppliedBy } from './ownership.ts';
import { findPullFailure } from './pull-failure.ts';
import { planEntry, planNoEntry } from './pull-secret-entry.ts';
import { findRefusal } from './refusal.ts';

/** A registry may stumble, and the kubelet tries again; with no pod left that serves, there is no time for that. */
const GRACE_MS = 45_000;
/** A rollout that has not ended after that long is not ours any more: whatever happens now has other reasons. */
const LONGEST_ROLLOUT_MS = 3_600_000;
/** Unless not every pod has got the copy yet, or none serves: then it may never have been seen to work. */
const LONGEST_TRIAL_MS = 24 * 3_600_000;
/** A CronJob has no rollout: at every run it is the pods of that run which may not find the copy. */
const LONGEST_START_MS = 10 * 60_000;
/** Of the kubelet's words in an event: the reason comes last, after the name of the image, twice. */
const LONGEST_QUOTE = 700;

export interface UndoFacts {
  readonly workload: Workload;
  readonly record: SwapRecord;
  /** Since when it has had fewer pods than it wants; undefined while it has them. */
  readonly missingSinceMs?: number;
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

/** Puts back what the slots of the last swap held before it, and says why. */
export interface Undo {
  readonly patch: WorkloadPatch;
  readonly event: ObjectEvent;
}

/**
 * True while a swap rolls out, or a run of a swapped CronJob starts. Others may have changed the workload since, as an
 * autoscaler does. Where pods are replaced only when somebody deletes them, that may be any time later.
 */
export function isSwapInFlight(workload: Workload, record: SwapRecord, nowMs: number): boolean {
  const ageMs = nowMs - Math.max(record.swappedAtMs, workload.rollout.startedAtMs ?? 0);
  return (
    !isRolledOut(workload) &&
    (ageMs < longestFlightMs(workload) || workload.rollout.onDelete) &&
    findSwappedSlots(workload.slots, record).length > 0
  );
}

function longestFlightMs({ kind, rollout }: Workload): number {
  if (!KINDS[kind].rollsOut) {
    return LONGEST_START_MS;
  }
  const isTried = rollout.updated >= rollout.desired && rollout.available > 0;
  return isTried ? LONGEST_ROLLOUT_MS : LONGEST_TRIAL_MS;
}

/** Where a pod stands still because of the swap, in whose words, and what helps. */
interface Failure {
  readonly what: string;
  readonly quote: string;
  readonly help: string;
}

/** Whether what the kubelet says of a pod counts yet. */
function hasHadTime({ createdAtMs, replacedAtMs = -Infinity }: Pod, { workload, nowMs }: UndoFacts): boolean {
  const isUrgent = workload.rollout.available === 0;
  return nowMs - replacedAtMs >= GRACE_MS && (isUrgent || nowMs - createdAtMs >= GRACE_MS);
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

/** A pod that cannot start because its image is the copy, and that has had its time to. */
function findStuckPod(facts: UndoFacts): Failure | undefined {
  const { workload, record, pods } = facts;
  const old = pods.filter((pod) => hasHadTime(pod, facts)).map(withoutOldWords);
  const found = findPullFailure(findSwappedSlots(workload.slots, record), old);
  return (
    found && {
      what: `a node cannot run the copy of ${slotKey(found.slot)}`,
      quote: `${found.reason}: ${found.message}`,
      help:
        record.pullSecret === undefined
          ? 'Give the nodes access to the backup registry, for example by PULL_SECRET'
          : 'See whether the Secret that PULL_SECRET names may pull from the backup registry',
    }
  );
}

/** The API server refuses the new pods: a quota has no room for them, or a policy does not want the copies. */
function findRefusedPods(facts: UndoFacts): Failure | undefined {
  const { workload, record, nowMs } = facts;
  // Later on it is not the swap that they are refused for, but a workload that grows.
  if (nowMs - record.swappedAtMs >= LONGEST_ROLLOUT_MS && !workload.rollout.onDelete) {
    return undefined;
  }
  const copies = findSwappedSlots(workload.slots, record);
  const quote = findRefusal({ ...facts, copies, swappedAtMs: record.swappedAtMs });
  const help = 'Make room for them, or allow the backup registry in the policy that refuses it';
  return quote === undefined ? undefined : { what: 'pods with the copies cannot be created', quote, help };
}

function planEvent({ what, quote, help }: Failure, untilMs: number): ObjectEvent {
  const note =
    `Put back to the images it had before, because ${what}: ${quote.slice(0, LONGEST_QUOTE)}. ${help}; ` +
    `it is tried again after ${new Date(untilMs).toISOString()}.`;
  return { type: 'Warning', reason: 'SwapRolledBack', action: 'RestoreImage', note };
}

/** Only the slots of the last swap go back, to what they held before it; the others have proven themselves. */
function planSlotsBack({ workload, record }: UndoFacts): readonly WorkloadPatch['slots'][number][] {
  return findSwappedSlots(workload.slots, record).flatMap(({ place, name }) => {
    const image = record.before.get(slotKey({ place, name })) ?? '';
    return findReferenceProblem(image) === undefined ? [{ place, name, image }] : [];
  });
}

/** What stays on record of slots that hold a copy, be it that of an earlier swap. */
function planRecord(
  { workload, record }: UndoFacts,
  images: ReadonlyMap<string, string>,
): Omit<SwapRecord, 'swappedAtMs'> {
  const isCopyStill = (key: string): boolean =>
    !images.has(key) || images.get(key) !== record.originals.get(key);
  const copies = new Map(
    [...record.copies]
      .filter(([key]) => isCopyStill(key))
      .map(([key, copy]) => [key, images.get(key) ?? copy]),
  );
  const former = planFormer(workload, record, copies);
  return {
    originals: new Map([...record.originals].filter(([key]) => isCopyStill(key))),
    copies,
    before: new Map(),
    uid: record.uid,
    reverts: record.reverts,
    // The images belong to nobody meanwhile, so that the next swap would not find out.
    appliedBy: findAppliedBy(workload, record),
    ...(former && { former }),
  };
}

/** Decides whether a swap has to be undone now. Undefined: it may still succeed, or somebody else has to help. */
export function planUndo(facts: UndoFacts): Undo | undefined {
  const { workload, record, nowMs } = facts;
  const failed = isSwapInFlight(workload, record, nowMs)
    ? (findStuckPod(facts) ?? findRefusedPods(facts))
    : undefined;
  const slots = planSlotsBack(facts);
  if (!failed || slots.length === 0) {
    return undefined;
  }
  const failures = (record.hold?.failures ?? 0) + 1;
  const untilMs = nowMs + planHoldMs(failures);
  const images = new Map(slots.map((slot) => [slotKey(slot), slot.image]));
  const refresh = readRefresh(workload.annotations);
  const left = planRecord(facts, images);
  // Without a wish of its own, an entry stays as it is.
  const entry =
    left.copies.size > 0 ? planEntry(facts, undefined) : { patch: planNoEntry(workload, record), record: {} };
  const annotations = formatRecord({
    ...left,
    ...entry.record,
    swappedAtMs: nowMs,
    hold: { untilMs, failures, images, refresh },
  });
  return { patch: { slots, annotations, ...entry.patch }, event: planEvent(failed, untilMs) };
}

/**
 * Until when a workload is not to be swapped; undefined when it may be, has another image by now, or was refreshed. A
 * time that lies further ahead than any hold was not written by us, and counts for nothing.
 */
export function findHoldEndMs(workload: Workload, record: SwapRecord, nowMs: number): number | undefined {
  const { hold } = record;
  const isSame = workload.slots.some((slot) => hold?.images.get(slotKey(slot)) === slot.image);
  const isRefreshed = hold?.refresh !== readRefresh(workload.annotations);
  const leftMs = (hold?.untilMs ?? 0) - nowMs;
  return hold && isSame && !isRefreshed && leftMs > 0 && leftMs <= LONGEST_HOLD_MS ? hold.untilMs : undefined;
}
