import { RegistryError } from '../../errors.ts';
import { copyRepositoryOf } from '../../images/copy-name.ts';
import { type Reference, formatReference, withDigest } from '../../images/reference.ts';
import type { ImageParts } from '../ports.ts';
import type { CopyRequest, VerifiedCopy } from './copy-state.ts';
import type { EnsureCopyDeps } from './ensure-copy.ts';

/** Which image a request is about, and what follows from what pods report of it. */
export interface IdentifiedImage {
  readonly digest: string;
  /** Pods run this image, so that the owner of the workload may read it. */
  readonly isProven: boolean;
  /** Of the digests that pods report, those that are neither this image nor a part of it. */
  readonly unlike: readonly string[];
  /** It is the manifest of one platform, and nobody knows the index that it belongs to. */
  readonly isOnePlatform: boolean;
  /** What the tag means at the source now, if that had to be asked for. */
  readonly current?: { readonly digest: string | undefined };
}

type Identity = Omit<IdentifiedImage, 'current'>;

type Deps = Pick<EnsureCopyDeps, 'registry' | 'settings'>;

/** What the backup has is asked there: it counts no downloads. */
async function fetchParts(
  deps: Deps,
  { source, digest }: { readonly source: Reference; readonly digest: string },
  signal: AbortSignal,
): Promise<ImageParts | undefined> {
  const { REGISTRY_PREFIX: prefix, NAMING: naming } = deps.settings();
  const copy = withDigest(copyRepositoryOf(source, { prefix, naming }), digest);
  return (
    (await deps.registry.listParts(copy, 'backup', signal)) ??
    (await deps.registry.listParts(withDigest(source, digest), 'source', signal))
  );
}

/** Returns those that are neither the image nor a part of it. Nothing is asked when they are the image itself. */
async function findUnlike(
  deps: Deps,
  image: { readonly source: Reference; readonly digest: string; readonly reported: readonly string[] },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const others = image.reported.filter((one) => one !== image.digest);
  const parts = others.length === 0 ? undefined : await fetchParts(deps, image, signal);
  return parts?.is === 'index' ? others.filter((one) => !parts.digests.has(one)) : others;
}

interface Current {
  readonly digest?: string | undefined;
  /** The source could not be asked. */
  readonly error?: RegistryError;
}

/** A source that is down does not keep the backup from knowing what pods run. */
async function fetchCurrent(
  { registry }: Deps,
  { source, reported = [] }: CopyRequest,
  signal: AbortSignal,
): Promise<Current> {
  try {
    return { digest: await registry.fetchDigest(source, 'source', signal) };
  } catch (error) {
    if (reported.length > 0 && error instanceof RegistryError && !signal.aborted) {
      return { error };
    }
    throw error;
  }
}

function planNotFound(source: Reference): RegistryError {
  const message = `${formatReference(source)} does not exist, or may not be read`;
  return new RegistryError(message, { reason: 'NotFound', side: 'source' });
}

/** What is known of an image before anybody is asked. */
type Known = Pick<VerifiedCopy, 'digest' | 'isOnePlatform'>;

interface ReportedImage {
  readonly source: Reference;
  readonly reported: readonly string[];
  readonly current: Current;
  readonly before: Known | undefined;
}

/** The first image that is all that pods report, or has it as its parts: what the tag means now counts most. */
async function findWhole(
  deps: Deps,
  { source, reported, current, before }: ReportedImage,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const digest of new Set([current.digest, before?.digest, ...reported])) {
    if (digest && (await findUnlike(deps, { source, digest, reported }, signal)).length === 0) {
      return digest;
    }
  }
  return undefined;
}

/** Pods run different images: what most of them run is backed up, and proves nothing. */
async function identifyFirst(
  deps: Deps,
  { source, reported, current }: ReportedImage,
  signal: AbortSignal,
): Promise<Identity> {
  const [first = ''] = reported;
  const isThere = (await fetchParts(deps, { source, digest: first }, signal)) !== undefined;
  const digest = isThere ? first : current.digest;
  if (digest === undefined) {
    throw current.error ?? planNotFound(withDigest(source, first));
  }
  const unlike = await findUnlike(deps, { source, digest, reported }, signal);
  return { digest, isProven: false, unlike, isOnePlatform: false };
}

/**
 * The image that pods report, which nobody has pinned. A runtime may report an index or the manifest of its platform,
 * whichever it likes. A digest that no registry has says nothing.
 */
async function identifyReported(deps: Deps, image: ReportedImage, signal: AbortSignal): Promise<Identity> {
  const { source, current, before } = image;
  const digest = await findWhole(deps, image, signal);
  const isKnown = digest === current.digest || (digest === before?.digest && before?.isOnePlatform !== true);
  if (digest === undefined) {
    return identifyFirst(deps, image, signal);
  }
  const parts = isKnown ? undefined : await fetchParts(deps, { source, digest }, signal);
  return isKnown || parts
    ? { digest, isProven: true, unlike: [], isOnePlatform: parts?.is === 'manifest' }
    : identifyFirst(deps, image, signal);
}

/** The image that a slot names itself: what pods report is only compared with it. */
async function identifyKnown(
  deps: Deps,
  { request, digest }: { readonly request: CopyRequest; readonly digest: string },
  signal: AbortSignal,
): Promise<IdentifiedImage> {
  const { source, reported = [], elsewhere = [], isProven } = request;
  const unlike = await findUnlike(deps, { source, digest, reported: [...reported, ...elsewhere] }, signal);
  const isShown = reported.length > 0 && !reported.some((one) => unlike.includes(one));
  return { digest, isProven: isProven || isShown, unlike, isOnePlatform: false };
}

/** What the tag means, where no pod reports an image of the source. */
function identifyCurrent(source: Reference, { digest }: Current): Identity {
  if (digest === undefined) {
    throw planNotFound(source);
  }
  return { digest, isProven: false, unlike: [], isOnePlatform: false };
}

/**
 * Finds out which image a workload runs, or is to run, of a source. `before`: what was found the last time.
 *
 * @throws {RegistryError} when there is no such image, or nobody can tell.
 */
export async function identifyImage(
  deps: Deps,
  { request, before }: { readonly request: CopyRequest; readonly before?: Known | undefined },
  signal: AbortSignal,
): Promise<IdentifiedImage> {
  const { source, reported = [], elsewhere = [] } = request;
  const known = request.digest ?? source.digest;
  if (known !== undefined) {
    return identifyKnown(deps, { request, digest: known }, signal);
  }
  const current = await fetchCurrent(deps, request, signal);
  const found =
    reported.length > 0
      ? await identifyReported(deps, { source, reported, current, before }, signal)
      : identifyCurrent(source, current);
  const beside = await findUnlike(deps, { source, digest: found.digest, reported: elsewhere }, signal);
  return {
    ...found,
    unlike: [...found.unlike, ...beside],
    ...(!current.error && { current: { digest: current.digest } }),
  };
}
