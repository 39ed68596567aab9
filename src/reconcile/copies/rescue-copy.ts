import { RegistryError } from '../../errors.ts';
import { type CopyRepository, copyRepositoryOf } from '../../images/copy-name.ts';
import { type Reference, formatReference, withDigest } from '../../images/reference.ts';
import { askBackup } from './backup-look.ts';
import { findUnlike } from './compare-digests.ts';
import type { Copy, CopyRequest, VerifiedCopy } from './copy-state.ts';
import type { EnsureCopyDeps } from './copy-plan.ts';
import { ensureCopy } from './ensure-copy.ts';
import { type LookDepth, findCopy } from './find-copy.ts';
import { identifyImage, isOfTag } from './identify-image.ts';
import { type MadeCopy, toMadeFields } from './make-copy.ts';

interface RescueCopy extends Copy, MadeCopy, Pick<VerifiedCopy, 'unlike' | 'isOnePlatform'> {
  /** Ready pods run it. */
  readonly isShown: boolean;
}

/** What pods run of a source, where that is not what its tag last meant. */
async function findEarlier(
  deps: EnsureCopyDeps,
  { request, repository }: { readonly request: CopyRequest; readonly repository: CopyRepository },
  signal: AbortSignal,
): Promise<RescueCopy | undefined> {
  const { reported: [digest, ...others] = [] } = request;
  const copy = digest === undefined ? undefined : await findCopy(deps, { request, digest }, signal);
  if (!copy) {
    return undefined;
  }
  const parts = await deps.registry.listParts(withDigest(repository, copy.digest), 'backup', signal);
  return { ...copy, isShown: others.length === 0, isOnePlatform: parts?.is === 'manifest', unlike: others };
}

async function fetchPlain(
  { registry }: EnsureCopyDeps,
  { host, repository, tag }: CopyRepository & { readonly tag: string | undefined },
  signal: AbortSignal,
): Promise<string | undefined> {
  const plain = { host, repository, ...(tag && { tag }) };
  return registry.fetchDigest(plain, 'backup', signal);
}

/**
 * What the backup has of a source: what pods run of it, or else what the plain tag means, which is moved along with
 * every new copy. The tag that stays has to say the same: anybody may set a plain tag by hand.
 */
async function findLastKnown(
  deps: EnsureCopyDeps,
  request: CopyRequest,
  signal: AbortSignal,
): Promise<RescueCopy | undefined> {
  const { REGISTRY_PREFIX: prefix, NAMING: naming } = deps.settings();
  const { source, reported = [], elsewhere = [], isProven } = request;
  const repository = copyRepositoryOf(source, { prefix, naming });
  const digest = source.digest ?? (await fetchPlain(deps, { ...repository, tag: source.tag }, signal));
  if (digest === undefined) {
    return findEarlier(deps, { request, repository }, signal);
  }
  const copy = await findCopy(deps, { request, digest }, signal);
  const others = [...reported, ...elsewhere];
  const unlike = copy ? await findUnlike(deps, { source, digest, reported: others }, signal) : others;
  if (source.digest === undefined && reported.some((one) => unlike.includes(one))) {
    return findEarlier(deps, { request, repository }, signal);
  }
  const isShown = isProven || reported.some((one) => !unlike.includes(one));
  return copy && { ...copy, isShown, unlike };
}

/** A copy that is to rescue pods. */
export interface RescueJob {
  readonly request: CopyRequest;
  /** Told when the backup says that it has none. */
  readonly onMissing: () => void;
}

/** What the source gives out now, copied if need be; undefined when it may not be, or gives out nothing. */
async function findCurrent(
  deps: EnsureCopyDeps,
  { request, onMissing }: RescueJob,
  signal: AbortSignal,
): Promise<RescueCopy | undefined> {
  const image = await identifyImage(deps, { request }, signal);
  const { digest, isProven, isOnePlatform, unlike } = image;
  const pinned = withDigest(request.source, digest);
  const isThere = isOfTag(image) || (await deps.registry.fetchDigest(pinned, 'source', signal));
  if (!isThere) {
    return undefined;
  }
  const depth: LookDepth = request.isDoubted ? 'parts' : 'tag';
  const job = { request: { ...request, isProven }, digest, depth, isOfTag: isOfTag(image), onMissing };
  const copy = await ensureCopy(deps, job, signal);
  return copy && { ...copy, isShown: isProven, isOnePlatform, unlike };
}

/** An image that cannot be told to be public any more counts as private. */
async function isPublic(
  { registry }: EnsureCopyDeps,
  source: Reference,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return !(await registry.isPrivate(source, 'source', signal));
  } catch (error) {
    if (error instanceof RegistryError && !signal.aborted) {
      return false;
    }
    throw error;
  }
}

function toVerified(
  { digest, image, isShown, isOnePlatform, unlike = [], ...made }: RescueCopy,
  { isForAll, provenAtMs }: { readonly isForAll: boolean; readonly provenAtMs: number },
): VerifiedCopy {
  return {
    phase: 'verified',
    provenAtMs,
    digest,
    image,
    isPublic: isForAll,
    ...(isShown && { isShown }),
    ...(isOnePlatform && { isOnePlatform }),
    ...(unlike.length > 0 && { unlike }),
    ...toMadeFields(made),
  };
}

function createNowhereError({ message }: RegistryError): RegistryError {
  const text = `${message}, and the backup has no copy of it`;
  return new RegistryError(text, { reason: 'NotFound', side: 'source' });
}

/** Nobody gives the image out, and the backup does not say whether it has it. What may pass is tried again soon. */
function createUnseenError(failure: RegistryError, refusal: RegistryError): RegistryError {
  const text = `${refusal.message}, so that nobody can tell whether it has a copy; its source: ${failure.message}`;
  const { reason, side, retryAtMs } = failure.retryable ? failure : refusal;
  return new RegistryError(text, { reason, side, ...(retryAtMs !== undefined && { retryAtMs }) });
}

/**
 * The copy for pods that cannot pull the original: of what the source means now if it answers, otherwise the latest
 * that the backup has.
 *
 * @throws {RegistryError} when there is none, with what the source says.
 */
export async function findRescueCopy(
  deps: EnsureCopyDeps,
  job: RescueJob,
  signal: AbortSignal,
): Promise<VerifiedCopy> {
  const { request, onMissing } = job;
  const { source } = request;
  const gone = `${formatReference(source)} does not exist, or may not be read`;
  let failure = new RegistryError(gone, { reason: 'NotFound', side: 'source' });
  let copy: RescueCopy | undefined;
  try {
    copy = await findCurrent(deps, job, signal);
  } catch (error) {
    if (!(error instanceof RegistryError) || error.side === 'backup' || signal.aborted) {
      throw error;
    }
    failure = error.reason === 'NotFound' ? failure : error;
  }
  if (!copy) {
    const answer = await askBackup(() => findLastKnown(deps, request, signal));
    if (answer.is === 'refused') {
      throw createUnseenError(failure, answer.error);
    }
    copy = answer.value;
  }
  if (!copy) {
    onMissing();
    throw failure.reason === 'NotFound' ? createNowhereError(failure) : failure;
  }
  const isForAll = await isPublic(deps, withDigest(source, copy.digest), signal);
  return toVerified(copy, { isForAll, provenAtMs: deps.nowMs() });
}
