import { posix } from 'node:path';

import { InvalidImageError } from '../../../errors.ts';
import {
  type BackupPrefix,
  copyRepositoryOf,
  type Destination,
  isCopy,
  isCopyOf,
  isNamedAsCopyOf,
} from '../../../images/copy-name.ts';
import {
  type Reference,
  findReference,
  formatReference,
  isSameImage,
  isSameRepository,
  parseReference,
  withDigest,
} from '../../../images/reference.ts';
import { KINDS } from '../../../workloads/kinds.ts';
import { type SwapRecord, slotKey } from '../../../workloads/record.ts';
import type { Pod, Slot, Workload } from '../../../workloads/workload.ts';
import type { CopyRequest } from '../../copies/copy-state.ts';
import { type AppliedPolicy, isIgnored } from '../policy.ts';
import { type PullFailures, listPullFailures } from '../pods/pull-failure.ts';
import { type ShownContainers, showContainers } from '../pods/template-pods.ts';
import { findFormerCopy } from '../originals/revert.ts';
import { type Report, type RunningFacts, findRewritten, isUnseen, listReports } from './running-image.ts';
import type { CopiedSlot, SlotPlan } from './planned-slot.ts';

export interface SlotPlanFacts extends Destination {
  readonly workload: Workload;
  readonly record: SwapRecord;
  readonly policy: AppliedPolicy;
  /** Pods of the workload; empty while nobody needs to know what runs. */
  readonly pods: readonly Pod[];
  /** Pods of a workload that is not rolled out, which tell why. */
  readonly unfinishedPods?: readonly Pod[];
  /** Below which copies were before the settings changed. */
  readonly formerPrefixes?: readonly BackupPrefix[];
  /** Hosts that may be copied from, with `*` and `?`. */
  readonly sourceHosts: readonly string[];
}

/** What pods show, gone through once for all slots, and only if a slot asks. */
interface SlotFacts extends SlotPlanFacts {
  readonly shownByPods: () => ShownContainers;
  /** The pods of a swap show what it has come to before all of them are ready. */
  readonly shownByAll: () => ShownContainers;
  readonly shownByUnfinished: () => ShownContainers;
  readonly failures: PullFailures;
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

function readAllPods(facts: SlotPlanFacts): SlotFacts {
  const { workload, pods, unfinishedPods = [] } = facts;
  return {
    ...facts,
    shownByPods: once(() => showContainers(workload, pods)),
    shownByAll: once(() => showContainers(workload, [...pods, ...unfinishedPods])),
    shownByUnfinished: once(() => showContainers(workload, unfinishedPods)),
    failures: listPullFailures(unfinishedPods),
  };
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

export interface Original {
  readonly text: string;
  readonly source: Reference;
}

/**
 * The recorded original, if the slot still holds the copy that was put there, or holds an earlier one again. A record
 * is as hostile as any text of the workload: it counts only when the slot's image has the name that a copy of that
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

/** What pods tell about the image of a slot, as far as a request for a copy has to know. */
function planProof(
  digest: string | undefined,
  { reports, isShown }: { readonly reports: readonly Report[]; readonly isShown: boolean },
): Omit<CopyRequest, 'source' | 'digest'> {
  const digestsOf = (where: Report['of']): readonly string[] => [
    ...new Set(reports.flatMap((report) => (report.of === where && report.digest) || [])),
  ];
  const reported = digestsOf('source').filter((one) => one !== digest);
  const elsewhere = digestsOf('elsewhere').filter((one) => one !== digest && !reported.includes(one));
  const isProven = digest !== undefined && digestsOf('source').includes(digest) && reported.length === 0;
  return {
    isProven,
    ...(reported.length > 0 && { reported }),
    ...(elsewhere.length > 0 && { elsewhere }),
    ...(!isProven && reported.length === 0 && isShown && { isUnprovable: true }),
  };
}

/** A swap was undone for another reason than that pods did not get ready: nodes may not have been able to pull the copy. */
function isDoubted({ hold }: SwapRecord): boolean {
  return hold !== undefined && hold.isPullable !== true;
}

/**
 * What the user has pinned is what gets backed up; after that what the copy is that the slot holds. After that what runs,
 * which is to be found out: a runtime may report the image, or its manifest for one platform. Where no pod shows that,
 * it is what the slot held until its original was put back, whatever the tag means at the source today.
 */
function planRequest(
  { slot, image, source }: { readonly slot: Slot; readonly image: Reference; readonly source: Reference },
  { reports, ...facts }: SlotPlanFacts & { readonly reports: readonly Report[] },
): CopyRequest {
  const { workload, record } = facts;
  const isReported = reports.some(({ of }) => of === 'source');
  const former = isReported ? undefined : findFormerCopy(slot, workload.uid, record);
  const digest = source.digest ?? image.digest ?? former?.digest;
  // A workload that rolls out will have ready pods, and only then it is known whether they show anything.
  const isShown = facts.pods.some(({ ready }) => ready) || !KINDS[facts.workload.kind].rollsOut;
  return {
    source,
    ...(digest === undefined || digest === source.digest ? {} : { digest }),
    ...planProof(digest, { reports, isShown }),
    ...(isDoubted(record) && { isDoubted: true }),
  };
}

/** What pods show of a slot. */
function readPods(slot: Slot, facts: RunningFacts): Pick<CopiedSlot, 'reports' | 'rewritten' | 'isUnseen'> {
  const reports = listReports(slot, facts);
  const rewritten = findRewritten(slot, facts);
  return {
    ...(reports.length > 0 && { reports }),
    ...(rewritten !== undefined && { rewritten }),
    ...(isUnseen(slot, facts, reports) && { isUnseen: true }),
  };
}

/** In whatever case; the brackets of an IPv6 address stand for themselves. */
function isNamedHost(host: string, patterns: readonly string[]): boolean {
  const toGlob = (pattern: string): string => pattern.toLowerCase().replaceAll(/[[\]]/g, '[$&]');
  return patterns.some((pattern) => posix.matchesGlob(host.toLowerCase(), toGlob(pattern)));
}

/** Only what a ready pod runs from that very repository is looked up: the workload may read it, and knows its digest. */
function planUnexplained(slot: Slot, image: Reference, facts: SlotFacts): SlotPlan {
  const reports = listReports(slot, { ...facts, shown: facts.shownByPods(), image, source: image });
  const seen = reports.find(({ of, isAsWritten }) => of === 'source' && isAsWritten);
  const source = seen?.digest === undefined ? undefined : withDigest(image, seen.digest);
  return {
    is: 'unexplained',
    slot,
    ...(source && { request: { source, isProven: true, isUnexplained: true } }),
  };
}

function planCopied(slot: Slot, image: Reference, facts: SlotFacts): SlotPlan {
  const recorded = findOriginal(slot, facts.record);
  const source = recorded?.source ?? image;
  if (isCopy(source, facts.prefix)) {
    return recorded ? { is: 'left alone', slot, why: 'is a copy' } : planUnexplained(slot, source, facts);
  }
  const plan = planCopy(slot, { image, source, recorded }, facts);
  if (!isNamedHost(source.host, facts.sourceHosts)) {
    if (plan.request.formers) {
      return { ...plan, request: { ...plan.request, isSourceBarred: true } };
    }
    const message = `${formatReference(source)} is of the host ${source.host}, which SOURCE_HOSTS does not name`;
    return { is: 'refused', slot, reason: 'SourceNotAllowed', message };
  }
  return plan;
}

interface SlotImages extends Pick<RunningFacts, 'image' | 'source'> {
  readonly recorded: Original | undefined;
}

/**
 * The copy of earlier settings that the slot holds, at the very place where this controller would have put it then. A record can
 * name any other place: what is there is for its owner to say, and must not get into the backup as a copy of somebody else's image.
 */
function findFormer(
  { image, source }: SlotImages,
  { prefix, formerPrefixes = [] }: SlotFacts,
  reports: readonly Report[] = [],
): Pick<CopyRequest, 'formers'> {
  const { digest } = image;
  const isOurs = [prefix, ...formerPrefixes].some((one) => isCopyOf(image, source, one));
  if (digest === undefined || !isOurs) {
    return {};
  }
  // A node that has the image under several names reports any of them: the pod runs what the slot says all the same.
  const isShown = reports.some((report) => report.digest === digest && report.isAsWritten);
  return { formers: [{ image: { ...image, digest }, isShown }] };
}

/** What the slot holds is a copy of before the settings changed, or is called one. */
function planFormer(
  images: SlotImages,
  facts: SlotFacts & { readonly isInPlace: boolean },
  reports: readonly Report[] | undefined,
): { readonly request: Pick<CopyRequest, 'formers'>; readonly slot: Pick<CopiedSlot, 'isOfUnknownBackup'> } {
  if (facts.isInPlace || images.recorded === undefined) {
    return { request: {}, slot: {} };
  }
  const request = findFormer(images, facts, reports);
  return { request, slot: request.formers ? {} : { isOfUnknownBackup: true } };
}

function planCopy(slot: Slot, images: SlotImages, facts: SlotFacts): CopiedSlot {
  const { image, source, recorded } = images;
  const isInPlace = recorded !== undefined && isSameRepository(image, copyRepositoryOf(source, facts));
  const pods = isInPlace ? [...facts.pods, ...(facts.unfinishedPods ?? [])] : facts.pods;
  const shown = isInPlace ? facts.shownByAll() : facts.shownByPods();
  const seen = readPods(slot, { ...facts, pods, shown, image, source });
  const former = planFormer(images, { ...facts, isInPlace }, seen.reports);
  const request = {
    ...planRequest({ slot, image, source }, { ...facts, pods, reports: seen.reports ?? [] }),
    ...former.request,
  };
  const original = recorded?.text ?? slot.image;
  return {
    is: isInPlace ? 'backed up' : 'to be backed up',
    slot,
    original,
    request,
    ...seen,
    ...former.slot,
  };
}

function planSlot(slot: Slot, facts: SlotFacts): SlotPlan {
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
function planRescue(plan: SlotPlan, facts: SlotFacts): SlotPlan {
  if (plan.is !== 'to be backed up' || plan.request.isSourceBarred) {
    return plan;
  }
  const { slot, request } = plan;
  // Where admission has written another image, nothing is known of the original.
  const stuck = facts.failures.find(slot, ({ image }) => isSameImage(image, slot.image));
  if (!stuck) {
    return plan;
  }
  const { source } = request;
  const shown = facts.shownByUnfinished();
  const reports = listReports(slot, { ...facts, shown, image: parseReference(slot.image), source });
  // Whether proof is still to come does not matter: the copy says who may read it.
  const proof = planProof(source.digest, { reports, isShown: false });
  const { isUnseen: _, ...known } = plan;
  return {
    ...known,
    ...(reports.length > 0 && { reports }),
    stuck,
    request: { source, ...proof, ...(isDoubted(facts.record) && { isDoubted: true }), isRescue: true },
  };
}

/** Decides for every slot of a workload whether a copy is needed, and of what. A copy in use is needed in any case. */
export function planSlots(facts: SlotPlanFacts): readonly SlotPlan[] {
  const slotFacts = readAllPods(facts);
  return facts.workload.slots.map((slot) => {
    const plan = planSlot(slot, slotFacts);
    return isIgnored(slot, facts.policy) && plan.is !== 'backed up'
      ? { is: 'left alone', slot, why: 'ignored' }
      : planRescue(plan, slotFacts);
  });
}
