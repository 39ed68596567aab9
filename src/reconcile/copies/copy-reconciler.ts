import { RegistryError } from '../../errors.ts';
import { formatReference } from '../../images/reference.ts';
import { barSource } from './bar-source.ts';
import { findUnlike } from './compare-digests.ts';
import type { CopyRequest, CopyState, SourceChange, VerifiedCopy } from './copy-state.ts';
import type { CopyStore } from './copy-store.ts';
import type { EnsureCopyDeps } from './copy-plan.ts';
import { type EnsuredCopy, ensureCopy } from './ensure-copy.ts';
import type { LookDepth } from './find-copy.ts';
import { type IdentifiedImage, identifyImage, isOfTag } from './identify-image.ts';
import { type MadeCopy, toMadeFields } from './make-copy.ts';
import { checkUnexplained } from './unexplained.ts';
import { correctPlainTag } from './plain-tag.ts';
import { type RescueJob, findRescueCopy } from './rescue-copy.ts';
import { settleFailure } from './settle-failure.ts';

export interface CopyReconcilerDeps extends EnsureCopyDeps {
  readonly copies: CopyStore;
  /** From 0 to 1: re-checks of copies that were made together are spread out. */
  readonly random: () => number;
}

/**
 * Looks what the tag means at the source now. A new image is copied as well: the next pod of somebody else may
 * need it, and the day it is wanted the source may be gone.
 */
async function checkSource(
  deps: CopyReconcilerDeps,
  { request, image }: { readonly request: CopyRequest; readonly image: IdentifiedImage },
  signal: AbortSignal,
): Promise<SourceChange | undefined> {
  const { source } = request;
  if (deps.settings().ON_SOURCE_CHANGE === 'ignore' || source.digest !== undefined) {
    return undefined;
  }
  const { digest: current } = image.current ?? {
    digest: await deps.registry.fetchDigest(source, 'source', signal),
  };
  if (current === undefined) {
    return { is: 'gone' };
  }
  if (current === image.digest) {
    await correctPlainTag(deps, { source, digest: current }, signal);
    return undefined;
  }
  // A copy of one platform is not another image than the index that it is a part of.
  const parts = { source, digest: current, reported: [image.digest] };
  if ((await findUnlike(deps, parts, signal)).length === 0) {
    return undefined;
  }
  // What the pods run proves nothing about what the tag means by now.
  // That there is none yet says nothing of the copy in use.
  const onMissing = (): void => {};
  const job = { request: { ...request, isProven: false }, digest: current, isOfTag: true, onMissing };
  const copy = await ensureCopy(deps, job, signal);
  if (copy?.made === 'before') {
    await correctPlainTag(deps, { source, digest: current }, signal);
  }
  return copy && { is: 'moved', copy: { digest: copy.digest, image: copy.image } };
}

/** A source that cannot be asked now says nothing new; that of a copy in use is no failure of the copy. */
async function recheckSource(
  deps: CopyReconcilerDeps,
  job: { readonly request: CopyRequest; readonly image: IdentifiedImage; readonly before: VerifiedCopy },
  signal: AbortSignal,
): Promise<SourceChange | undefined> {
  try {
    return await checkSource(deps, job, signal);
  } catch (error) {
    if (!(error instanceof RegistryError) || signal.aborted) {
      throw error;
    }
    deps.log.warn({ source: formatReference(job.request.source), err: error }, 'source not checked');
    return job.before.sourceChange;
  }
}

function toCopiedFields(
  { made, isUnseen, movedFrom }: EnsuredCopy,
  before: VerifiedCopy | undefined,
  nowMs: number,
): Pick<VerifiedCopy, 'copiedAtMs' | 'isCompleted' | 'isUnseen' | 'movedFrom'> {
  if (made !== 'before') {
    const how = {
      ...(made === 'in part' && { isCompleted: true }),
      ...(isUnseen && { isUnseen }),
      ...(movedFrom !== undefined && { movedFrom }),
    };
    return { copiedAtMs: nowMs, ...how };
  }
  if (before?.copiedAtMs === undefined) {
    return {};
  }
  const { copiedAtMs, isCompleted, isUnseen: wasUnseen } = before;
  return { copiedAtMs, ...(isCompleted && { isCompleted }), ...(wasUnseen && { isUnseen: wasUnseen }) };
}

function toIdentityFields({ unlike, isOnePlatform }: IdentifiedImage): Partial<VerifiedCopy> {
  return { ...(unlike.length > 0 && { unlike }), ...(isOnePlatform && { isOnePlatform }) };
}

/** What is known of the copy of this digest, and of no other. */
function knownAs(digest: string, before: VerifiedCopy | undefined): MadeCopy | undefined {
  return before?.digest === digest ? toMadeFields(before) : undefined;
}

function chooseDepth({ isDoubted }: CopyRequest, before: CopyState | undefined): LookDepth {
  if (before?.phase === 'failed') {
    return 'image';
  }
  return before?.phase === 'verified' || isDoubted ? 'parts' : 'tag';
}

/** Pods run an older image than the tag means: whoever comes new needs that one, so it is not long waited for. */
function isBehind(deps: CopyReconcilerDeps, image: IdentifiedImage): boolean {
  const isOther = image.current?.digest !== undefined && !isOfTag(image);
  return isOther && deps.settings().ON_SOURCE_CHANGE !== 'ignore';
}

interface Finding {
  readonly state: CopyState;
  /** Another look is due at once. */
  readonly isBehind?: boolean;
}

async function verify(
  deps: CopyReconcilerDeps,
  { request, onMissing }: RescueJob,
  signal: AbortSignal,
): Promise<Finding> {
  const before = deps.copies.findLast(request);
  const wasVerified = before?.phase === 'verified' ? before : undefined;
  const image = await identifyImage(deps, { request, before: wasVerified }, signal);
  const { digest, isProven } = image;
  const proven = { ...request, isProven };
  const depth = chooseDepth(request, before);
  const job = {
    request: proven,
    digest,
    depth,
    isOfTag: isOfTag(image),
    before: knownAs(digest, wasVerified),
    onMissing,
  };
  const copy = await ensureCopy(deps, job, signal);
  if (!copy) {
    return { state: missProof(deps, request) };
  }
  const sourceChange =
    wasVerified && (await recheckSource(deps, { request, image, before: wasVerified }, signal));
  const state: VerifiedCopy = {
    phase: 'verified',
    digest,
    image: copy.image,
    provenAtMs: deps.nowMs(),
    ...toIdentityFields(image),
    ...toCopiedFields(copy, wasVerified, deps.nowMs()),
    ...toMadeFields(copy),
    ...(sourceChange && { sourceChange }),
  };
  return { state, isBehind: !wasVerified && isBehind(deps, image) };
}

/**
 * A workload that is still starting will show what it may read. One that holds a copy which is gone cannot.
 *
 * @throws {RegistryError}
 */
function missProof(
  { log }: CopyReconcilerDeps,
  { source, digest, reported, isUnprovable = false }: CopyRequest,
): CopyState {
  if (digest !== undefined || reported !== undefined || isUnprovable) {
    const message = `${formatReference(source)} is not public, and no ready pod shows that this workload may read it`;
    throw new RegistryError(message, { reason: 'Unauthorized', side: 'source' });
  }
  log.debug(
    { source: formatReference(source) },
    'copy waits for a ready pod: only that proves who may read it',
  );
  return { phase: 'pending' };
}

/** Somewhere in the second half of the interval, so that copies made together are not checked together. */
function planRecheckMs({ settings, random }: CopyReconcilerDeps, finding: Finding): number {
  const { RECHECK_INTERVAL, REQUEUE_AFTER } = settings();
  const recheckMs = RECHECK_INTERVAL * (0.5 + random() / 2);
  return finding.isBehind ? Math.min(REQUEUE_AFTER, recheckMs) : recheckMs;
}

async function look(all: CopyReconcilerDeps, job: RescueJob, signal: AbortSignal): Promise<Finding> {
  const { request } = job;
  const deps = request.isSourceBarred
    ? { ...all, registry: barSource(all.registry, request.source.host) }
    : all;
  if (request.isUnexplained) {
    return { state: await checkUnexplained(deps, job, signal) };
  }
  return request.isRescue ? { state: await findRescueCopy(deps, job, signal) } : verify(deps, job, signal);
}

/**
 * Brings one copy into the backup: finds the digest, looks whether the backup has it, copies when not, and
 * keeps the outcome for the workloads that wait for it. A verified copy is checked again from time to time, and made
 * again when it is gone.
 */
export function createCopyReconciler(deps: CopyReconcilerDeps) {
  const { copies } = deps;

  /** @throws {RegistryError} when the same attempt can succeed later: the queue backs off. */
  return async function reconcileCopy(
    key: string,
    signal: AbortSignal,
  ): Promise<{ requeueAfterMs?: number }> {
    const request = copies.findRequest(key);
    if (!request) {
      return {};
    }
    // What nobody wants any more when the pass ends makes no appointment.
    const planNext = (next: { requeueAfterMs?: number }) => (copies.findRequest(key) ? next : {});
    let isMissing = false;
    const onMissing = (): void => {
      isMissing = true;
    };
    try {
      const found = await look(deps, { request, onMissing }, signal);
      copies.settle(request, found.state);
      return planNext(found.state.phase === 'verified' ? { requeueAfterMs: planRecheckMs(deps, found) } : {});
    } catch (error) {
      if (!signal.aborted && !copies.findRequest(key)) {
        // Of other settings, by which the source may even be a copy by now.
        deps.log.debug({ source: formatReference(request.source), err: error }, 'copy not wanted any more');
        return {};
      }
      if (!(error instanceof RegistryError) || signal.aborted) {
        throw error;
      }
      return planNext(settleFailure(deps, { request, error, isMissing }));
    }
  };
}
