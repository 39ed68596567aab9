import { posix } from 'node:path';

import { InvalidImageError } from '../../errors.ts';
import { copyRepositoryOf, type Destination, isCopy, isNamedAsCopyOf } from '../../images/copy-name.ts';
import {
  type Reference,
  findReference,
  formatReference,
  isSameRepository,
  parseReference,
} from '../../images/reference.ts';
import { KINDS } from '../../workloads/kinds.ts';
import { type SwapRecord, slotKey } from '../../workloads/record.ts';
import type { Pod, Slot, Workload } from '../../workloads/workload.ts';
import type { CopyRequest, CopyState } from '../copies/copy-state.ts';
import { type AppliedPolicy, isIgnored } from './policy.ts';
import { type PullFailure, findPullFailure } from './pull-failure.ts';
import { findFormerCopy } from './revert.ts';

/** A slot whose image has, or is to have, a copy. */
export interface CopiedSlot {
  /** `backed up`: the slot holds the copy already, which has to stay in the backup. */
  readonly is: 'to be backed up' | 'backed up';
  readonly slot: Slot;
  /** What the user wrote; while the slot holds a copy, what the record says. */
  readonly original: string;
  readonly request: CopyRequest;
  /** Ready pods run something in this slot that is no image of the source: a swap would change what runs. */
  readonly runsOther?: string;
  /** Nodes cannot pull the original. */
  readonly stuck?: PullFailure;
}

/** What is to be done for one slot. */
export type SlotPlan =
  | { readonly is: 'left alone'; readonly slot: Slot; readonly why: 'never pulled' | 'is a copy' | 'ignored' }
  | {
      readonly is: 'refused';
      readonly slot: Slot;
      readonly reason: 'InvalidImage' | 'SourceNotAllowed';
      readonly message: string;
    }
  | CopiedSlot;

export interface SlotPlanFacts extends Destination {
  readonly workload: Workload;
  readonly record: SwapRecord;
  readonly policy: AppliedPolicy;
  /** Pods of the workload; empty while nobody needs to know what runs. */
  readonly pods: readonly Pod[];
  /** Pods of a workload that is not rolled out, which tell why. */
  readonly unfinishedPods?: readonly Pod[];
  /** Hosts that may be copied from, with `*` and `?`. */
  readonly sourceHosts: readonly string[];
}

function tryParse(text: string): Reference | InvalidImageError {
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof InvalidImageError) {
      return error;
    }
    throw error;
  }
}

interface Running {
  /** What most Ready pods run in the slot; undefined while none shows it. */
  readonly digest?: string;
  /** What a Ready pod runs in the slot although it is no image of the same repository. */
  readonly other?: string;
}

/** A node that has the same image under several names reports any of them: a pod of the source may be said to run the copy. */
function isImageOf(reported: Reference, image: Reference, destination: Destination): boolean {
  return (
    isSameRepository(reported, image) || isSameRepository(reported, copyRepositoryOf(image, destination))
  );
}

/** What Ready pods run in a slot, as the kubelet reports it. A bare id of an image says nothing. */
function findRunning(slot: Slot, image: Reference, facts: SlotPlanFacts): Running {
  const counts = new Map<string, number>();
  let other: string | undefined;
  const containers = facts.pods
    .filter((pod) => pod.ready)
    .flatMap((pod) => pod.containers)
    .filter((container) => container.name === slot.name && container.image === slot.image);
  for (const { imageId } of containers) {
    const reported = findReference(imageId.replace(/^[a-z-]+:\/\//, ''));
    if (reported?.digest) {
      const isSame = isImageOf(reported, image, facts);
      other ??= isSame ? undefined : imageId;
      counts.set(reported.digest, (counts.get(reported.digest) ?? 0) + (isSame ? 1 : 0));
    }
  }
  const [most] = [...counts]
    .filter(([, count]) => count > 0)
    .toSorted((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  return most ? { digest: most[0] } : { ...(other !== undefined && { other }) };
}

export interface Original {
  readonly text: string;
  readonly source: Reference;
}

/**
 * The recorded original, if the slot still holds the copy that was put there, or holds an earlier one again. A record
 * is as hostile as any text of the workload: it counts only when the slot's image bears the name that a copy of that
 * original has.
 */
export function findOriginal(slot: Slot, record: SwapRecord): Original | undefined {
  const key = slotKey(slot);
  const isNewest = record.copies.get(key) === slot.image;
  const text = isNewest ? record.originals.get(key) : record.former?.get(key)?.get(slot.image);
  if (text === undefined) {
    return undefined;
  }
  const [image, source] = [findReference(slot.image), findReference(text)];
  return image && source && isNamedAsCopyOf(image, source) ? { text, source } : undefined;
}

/**
 * What the user has pinned is what gets backed up; after that what runs, and after that what the copy is that the slot holds,
 * or held until its original was put back, whatever the tag means at the source today.
 */
function planRequest(
  image: Reference,
  source: Reference,
  { running: { digest: running }, ...facts }: SlotPlanFacts & { readonly running: Running },
): CopyRequest {
  const digest = source.digest ?? running ?? image.digest;
  const isProven = running !== undefined && running === digest;
  // A workload that rolls out will have ready pods, and only then it is known whether they show anything.
  const isShown = facts.pods.some(({ ready }) => ready) || !KINDS[facts.workload.kind].rollsOut;
  return {
    source,
    ...(digest === undefined || digest === source.digest ? {} : { digest }),
    isProven,
    ...(!isProven && isShown && { isUnprovable: true }),
  };
}

/** What the slot holds, or the copy that it held before somebody put its original back. */
function findHeld(slot: Slot, image: Reference, { workload, record }: SlotPlanFacts): Reference {
  return findFormerCopy(slot, workload.uid, record) ?? image;
}

function planCopied(slot: Slot, image: Reference, facts: SlotPlanFacts): SlotPlan {
  const recorded = findOriginal(slot, facts.record);
  const source = recorded?.source ?? image;
  if (isCopy(source, facts.prefix)) {
    return { is: 'left alone', slot, why: 'is a copy' };
  }
  if (!facts.sourceHosts.some((pattern) => posix.matchesGlob(source.host, pattern))) {
    const message = `${formatReference(source)} is of the host ${source.host}, which SOURCE_HOSTS does not name`;
    return { is: 'refused', slot, reason: 'SourceNotAllowed', message };
  }
  const running = findRunning(slot, image, facts);
  const request = planRequest(findHeld(slot, image, facts), source, { ...facts, running });
  const isInPlace = recorded !== undefined && isSameRepository(image, copyRepositoryOf(source, facts));
  const original = recorded?.text ?? slot.image;
  return {
    is: isInPlace ? 'backed up' : 'to be backed up',
    slot,
    original,
    request,
    ...(running.other !== undefined && { runsOther: running.other }),
  };
}

function planSlot(slot: Slot, facts: SlotPlanFacts): SlotPlan {
  if (slot.pullPolicy === 'Never') {
    return { is: 'left alone', slot, why: 'never pulled' };
  }
  const image = tryParse(slot.image);
  if (image instanceof Error) {
    return { is: 'refused', slot, reason: 'InvalidImage', message: image.message };
  }
  return planCopied(slot, image, facts);
}

/**
 * A slot whose original the nodes cannot pull takes what the backup has of it: of what other pods run, if there are any
 * that got it, otherwise of what the tag last meant.
 */
function planRescue(plan: SlotPlan, facts: SlotPlanFacts): SlotPlan {
  const stuck = plan.is === 'to be backed up' ? findPullFailure([plan.slot], facts.pods) : undefined;
  if (!stuck || plan.is !== 'to be backed up') {
    return plan;
  }
  const { slot, request } = plan;
  const { source } = request;
  const running = findRunning(slot, parseReference(slot.image), facts).digest;
  const digest = source.digest === undefined ? running : undefined;
  const isProven = running !== undefined && (source.digest ?? running) === running;
  return { ...plan, stuck, request: { source, ...(digest && { digest }), isProven, isRescue: true } };
}

/**
 * What Ready pods run instead of what the copy holds. A node that has the same image under several names reports any of them:
 * with the digest of the copy it is no other image.
 */
export function findOther({ runsOther }: CopiedSlot, copy: CopyState | undefined): string | undefined {
  const isKnown = copy?.phase === 'verified' && !runsOther?.endsWith(`@${copy.digest}`);
  return isKnown ? runsOther : undefined;
}

/** Decides for every slot of a workload whether a copy is needed, and of what. A copy in use is needed in any case. */
export function planSlots(facts: SlotPlanFacts): readonly SlotPlan[] {
  const unfinished = { ...facts, pods: facts.unfinishedPods ?? [] };
  return facts.workload.slots.map((slot) => {
    const plan = planSlot(slot, facts);
    return isIgnored(slot, facts.policy) && plan.is !== 'backed up'
      ? { is: 'left alone', slot, why: 'ignored' }
      : planRescue(plan, unfinished);
  });
}

/** Whether the plan is about a copy. */
export function isCopied(plan: SlotPlan): plan is CopiedSlot {
  return plan.is === 'to be backed up' || plan.is === 'backed up';
}
