import { RegistryError } from '../../errors.ts';
import { copyRepositoryOf } from '../../images/copy-name.ts';
import { type Reference, formatReference, withDigest } from '../../images/reference.ts';
import type { Copy, CopyRequest, VerifiedCopy } from './copy-state.ts';
import { type EnsureCopyDeps, ensureCopy, findCopy } from './ensure-copy.ts';

/**
 * What the backup has of a source: what pods run of it, or else what the plain tag means, which is moved along with
 * every new copy. The tag that stays has to say the same: anybody may set a plain tag by hand.
 */
async function findLastKnown(
  deps: EnsureCopyDeps,
  request: CopyRequest,
  signal: AbortSignal,
): Promise<Copy | undefined> {
  const { REGISTRY_PREFIX: prefix, NAMING: naming } = deps.settings();
  const { source, digest: running } = request;
  const plain = { ...copyRepositoryOf(source, { prefix, naming }), ...(source.tag && { tag: source.tag }) };
  const digest = source.digest ?? running ?? (await deps.registry.fetchDigest(plain, 'backup', signal));
  return digest === undefined ? undefined : findCopy(deps, { request, digest }, signal);
}

/** What the source gives out now, copied if need be; undefined when it may not be, or gives out nothing. */
async function findCurrent(
  deps: EnsureCopyDeps,
  request: CopyRequest,
  signal: AbortSignal,
): Promise<Copy | undefined> {
  const pinned = request.digest ? withDigest(request.source, request.digest) : request.source;
  const digest = await deps.registry.fetchDigest(pinned, 'source', signal);
  return digest === undefined ? undefined : ensureCopy(deps, { request, digest }, signal);
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
  let copy: Copy | undefined;
  try {
    copy = await findCurrent(deps, request, signal);
  } catch (error) {
    if (!(error instanceof RegistryError) || error.side === 'backup' || signal.aborted) {
      throw error;
    }
    failure = error;
  }
  copy ??= await findLastKnown(deps, request, signal);
  if (!copy) {
    throw failure;
  }
  const { digest, written } = copy;
  const pinned = withDigest(source, digest);
  return { phase: 'verified', digest, written, isPublic: await isPublic(deps, pinned, signal) };
}
