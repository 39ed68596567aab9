import { RegistryError } from '../../errors.ts';
import { type CopyRepository, copyRepositoryOf } from '../../images/copy-name.ts';
import { type Reference, formatReference, withDigest } from '../../images/reference.ts';
import type { Copy, CopyRequest, VerifiedCopy } from './copy-state.ts';
import { type EnsureCopyDeps, ensureCopy, findCopy } from './ensure-copy.ts';
import { identifyImage } from './identify-image.ts';

interface RescueCopy extends Copy {
  /** Ready pods run it. */
  readonly isShown: boolean;
  readonly isOnePlatform?: boolean;
}

type PinnedReference = Reference & { readonly digest: string };

/** Whether all that pods report is an image of the backup, or its manifests for their platforms. */
async function hasAll(
  { registry }: EnsureCopyDeps,
  { copy, reported }: { readonly copy: PinnedReference; readonly reported: readonly string[] },
  signal: AbortSignal,
): Promise<boolean> {
  const others = reported.filter((one) => one !== copy.digest);
  const parts = others.length === 0 ? undefined : await registry.listParts(copy, 'backup', signal);
  return others.every((one) => parts?.is === 'index' && parts.digests.has(one));
}

/** What pods run of a source, where that is not what its tag last meant. */
async function findEarlier(
  deps: EnsureCopyDeps,
  { request, repository }: { readonly request: CopyRequest; readonly repository: CopyRepository },
  signal: AbortSignal,
): Promise<RescueCopy | undefined> {
  const { source, reported = [], isProven } = request;
  const digest = source.digest ?? reported[0];
  const copy = digest === undefined ? undefined : await findCopy(deps, { request, digest }, signal);
  if (!copy || source.digest !== undefined) {
    return copy && { ...copy, isShown: isProven };
  }
  const parts = await deps.registry.listParts(withDigest(repository, copy.digest), 'backup', signal);
  return { ...copy, isShown: reported.length === 1, isOnePlatform: parts?.is === 'manifest' };
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
  const { source, reported = [], isProven } = request;
  const repository = copyRepositoryOf(source, { prefix, naming });
  const plain = { ...repository, ...(source.tag && { tag: source.tag }) };
  const digest = source.digest ?? (await deps.registry.fetchDigest(plain, 'backup', signal));
  const last = digest === undefined ? undefined : withDigest(repository, digest);
  if (!last || !(await hasAll(deps, { copy: last, reported }, signal))) {
    return findEarlier(deps, { request, repository }, signal);
  }
  const copy = await findCopy(deps, { request, digest: last.digest }, signal);
  return copy && { ...copy, isShown: isProven || reported.length > 0 };
}

/** What the source gives out now, copied if need be; undefined when it may not be, or gives out nothing. */
async function findCurrent(
  deps: EnsureCopyDeps,
  request: CopyRequest,
  signal: AbortSignal,
): Promise<RescueCopy | undefined> {
  const image = await identifyImage(deps, { request }, signal);
  const { digest, isProven, isOnePlatform, current } = image;
  const pinned = withDigest(request.source, digest);
  const isThere = current?.digest === digest || (await deps.registry.fetchDigest(pinned, 'source', signal));
  if (!isThere) {
    return undefined;
  }
  const copy = await ensureCopy(deps, { request: { ...request, isProven }, digest }, signal);
  return copy && { ...copy, isShown: isProven, ...(isOnePlatform && { isOnePlatform }) };
}

/** An image that cannot be told to be public any more counts as private. */
async function isPublic(
  { registry }: EnsureCopyDeps,
  source: Reference,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return !(await registry.isPrivate(source, signal));
  } catch (error) {
    if (error instanceof RegistryError && !signal.aborted) {
      return false;
    }
    throw error;
  }
}

/**
 * The copy for pods that cannot pull the original: of what the source means now if it answers, otherwise the latest
 * that the backup has.
 *
 * @throws {RegistryError} when there is none, with what the source says.
 */
export async function findRescueCopy(
  deps: EnsureCopyDeps,
  request: CopyRequest,
  signal: AbortSignal,
): Promise<VerifiedCopy> {
  const { source } = request;
  const message = `${formatReference(source)} does not exist, or may not be read, and the backup has no copy of it`;
  let failure = new RegistryError(message, { reason: 'NotFound', side: 'source' });
  let copy: RescueCopy | undefined;
  try {
    copy = await findCurrent(deps, request, signal);
  } catch (error) {
    if (!(error instanceof RegistryError) || error.side === 'backup' || signal.aborted) {
      throw error;
    }
    failure = error.reason === 'NotFound' ? failure : error;
  }
  copy ??= await findLastKnown(deps, request, signal);
  if (!copy) {
    throw failure;
  }
  const { digest, written, isShown, isOnePlatform } = copy;
  const pinned = withDigest(source, digest);
  return {
    phase: 'verified',
    digest,
    written,
    isPublic: await isPublic(deps, pinned, signal),
    ...(isShown && { isShown }),
    ...(isOnePlatform && { isOnePlatform }),
  };
}
