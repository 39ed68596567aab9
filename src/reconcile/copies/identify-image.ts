import { RegistryError } from '../../errors.ts';
import { copyRepositoryOf } from '../../images/copy-name.ts';
import { type Reference, formatReference, withDigest } from '../../images/reference.ts';
import { findInBackup } from './backup-look.ts';
import { fetchParts, findUnlike, findUnrelated } from './compare-digests.ts';
import type { CopyRequest, VerifiedCopy } from './copy-state.ts';
import type { EnsureCopyDeps } from './copy-plan.ts';
import { findCopy } from './find-copy.ts';

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

/** Whether the source has just given the image for the tag. All else is the word of a workload, or of its pods. */
export function isOfTag({ digest, current }: IdentifiedImage): boolean {
  return current?.digest === digest;
}

interface Current {
  readonly digest?: string | undefined;
  /** The source could not be asked. */
  readonly error?: RegistryError;
}

/** A source that is down does not keep the backup from knowing what pods run. */
async function fetchCurrent(
  { registry }: EnsureCopyDeps,
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

/** One that no image looks like is none: that may be said of what the tag means by now, and not of what runs. */
async function isWhole(
  deps: EnsureCopyDeps,
  image: { readonly source: Reference; readonly digest: string; readonly reported: readonly string[] },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return (await findUnlike(deps, image, signal)).length === 0;
  } catch (error) {
    if (error instanceof RegistryError && error.reason === 'Unsupported') {
      return false;
    }
    throw error;
  }
}

/** The first image that is all that pods report, or has it as its parts: what the tag means now counts most. */
async function findWhole(
  deps: EnsureCopyDeps,
  { source, reported, current, before }: ReportedImage,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const digest of new Set([current.digest, before?.digest, ...reported])) {
    if (digest && (await isWhole(deps, { source, digest, reported }, signal))) {
      return digest;
    }
  }
  return undefined;
}

/** What the tag means, where no registry has what pods report: that says nothing. */
async function identifyByTag(
  deps: EnsureCopyDeps,
  { source, reported, current }: ReportedImage,
  signal: AbortSignal,
): Promise<Identity> {
  if (current.digest === undefined) {
    throw current.error ?? planNotFound(withDigest(source, reported[0] ?? ''));
  }
  const unlike = await findUnlike(deps, { source, digest: current.digest, reported }, signal);
  return { digest: current.digest, isProven: false, unlike, isOnePlatform: false };
}

/** Pods run different images: what most of them run is backed up, and proves nothing. */
async function identifyFirst(
  deps: EnsureCopyDeps,
  image: ReportedImage,
  signal: AbortSignal,
): Promise<Identity> {
  const { source, reported } = image;
  const [digest = ''] = reported;
  const parts = await fetchParts(deps, { source, digest }, signal);
  if (parts === undefined) {
    return identifyByTag(deps, image, signal);
  }
  const unlike = await findUnlike(deps, { source, digest, reported }, signal);
  return { digest, isProven: false, unlike, isOnePlatform: false };
}

/** An earlier image of the tag that was backed up as a whole: the source need not be asked for more. */
async function isBackedUp(
  deps: EnsureCopyDeps,
  { source, digest }: { readonly source: Reference; readonly digest: string },
  signal: AbortSignal,
): Promise<boolean> {
  const { REGISTRY_PREFIX: prefix, NAMING: naming } = deps.settings();
  const job = { request: { source, isProven: false }, digest };
  const copy = await findInBackup(() => findCopy(deps, job, signal));
  const pinned = withDigest(copyRepositoryOf(source, { prefix, naming }), digest);
  return copy !== undefined && (await deps.registry.listParts(pinned, 'backup', signal))?.is === 'index';
}

function isKnown(digest: string, { current, before }: ReportedImage): boolean {
  return digest === current.digest || (digest === before?.digest && before.isOnePlatform !== true);
}

/** What has all that pods report as its parts, or is it. */
async function identifyWhole(
  deps: EnsureCopyDeps,
  image: ReportedImage,
  signal: AbortSignal,
): Promise<Identity> {
  const digest = await findWhole(deps, image, signal);
  if (digest === undefined) {
    return identifyFirst(deps, image, signal);
  }
  if (isKnown(digest, image)) {
    return { digest, isProven: true, unlike: [], isOnePlatform: false };
  }
  const parts = await fetchParts(deps, { source: image.source, digest }, signal);
  const isOnePlatform = parts?.is === 'manifest';
  return parts ? { digest, isProven: true, unlike: [], isOnePlatform } : identifyByTag(deps, image, signal);
}

/**
 * The image that pods report, which nobody has pinned. A runtime may report an index or the manifest of its platform,
 * whichever it likes.
 */
async function identifyReported(
  deps: EnsureCopyDeps,
  image: ReportedImage,
  signal: AbortSignal,
): Promise<Identity> {
  const { source, reported, current } = image;
  const [digest = ''] = reported;
  const isEarlier = reported.length === 1 && digest !== current.digest;
  return isEarlier && (await isBackedUp(deps, { source, digest }, signal))
    ? { digest, isProven: true, unlike: [], isOnePlatform: false }
    : identifyWhole(deps, image, signal);
}

/** The image that a slot names itself: what pods report is only compared with it. */
async function identifyKnown(
  deps: EnsureCopyDeps,
  { request, digest }: { readonly request: CopyRequest; readonly digest: string },
  signal: AbortSignal,
): Promise<IdentifiedImage> {
  const { source, reported = [], elsewhere = [], isProven, formers } = request;
  const all = [...reported, ...elsewhere];
  const others = await findUnlike(deps, { source, digest, reported: all, formers }, signal);
  const unlike = await findUnrelated(deps, { source, digest, others }, signal);
  // What is only related proves nothing: it may share a part with an image that not everybody may read.
  const isShown = reported.some((one) => !others.includes(one));
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
  deps: EnsureCopyDeps,
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
