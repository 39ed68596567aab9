import { RegistryError } from '../../errors.ts';
import { copyRepositoryOf } from '../../images/copy-name.ts';
import { type Reference, withDigest } from '../../images/reference.ts';
import type { ImageParts } from '../ports.ts';
import type { FormerCopy } from './copy-state.ts';
import { findInBackup } from './backup-look.ts';
import type { EnsureCopyDeps } from './copy-plan.ts';

/** What cannot be had from the one place may be had from the other. */
function orThrow(signal: AbortSignal): (error: unknown) => undefined {
  return (error) => {
    if (!(error instanceof RegistryError) || signal.aborted) {
      throw error;
    }
    return undefined;
  };
}

interface PartsRequest {
  readonly source: Reference;
  readonly digest: string;
  /** Asked when the source cannot tell. */
  readonly formers?: readonly FormerCopy[] | undefined;
}

/** What an image consists of. What the backup has is asked there: it counts no downloads. */
export async function fetchParts(
  deps: EnsureCopyDeps,
  { source, digest, formers = [] }: PartsRequest,
  signal: AbortSignal,
): Promise<ImageParts | undefined> {
  for (const { image } of formers) {
    const known = await deps.registry.listParts(image, 'source', signal).catch(orThrow(signal));
    if (known) {
      return known;
    }
  }
  const { REGISTRY_PREFIX: prefix, NAMING: naming } = deps.settings();
  const copy = withDigest(copyRepositoryOf(source, { prefix, naming }), digest);
  return (
    (await findInBackup(() => deps.registry.listParts(copy, 'backup', signal))) ??
    (await deps.registry.listParts(withDigest(source, digest), 'source', signal))
  );
}

/** Returns those that are neither the image nor a part of it. Nothing is asked when they are the image itself. */
export async function findUnlike(
  deps: EnsureCopyDeps,
  image: PartsRequest & { readonly reported: readonly string[] },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const others = image.reported.filter((one) => one !== image.digest);
  const parts = others.length === 0 ? undefined : await fetchParts(deps, image, signal);
  return parts?.is === 'index' ? others.filter((one) => !parts.digests.has(one)) : others;
}

/** Whether an image shares a part with an index. A source that is down does not make another image of it. */
async function isRelated(
  deps: EnsureCopyDeps,
  { source, digest, own }: { readonly source: Reference; readonly digest: string; readonly own: ImageParts },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const parts = own.is === 'index' ? await fetchParts(deps, { source, digest }, signal) : undefined;
    return (
      parts?.is === 'index' && own.is === 'index' && [...own.digests].some((one) => parts.digests.has(one))
    );
  } catch (error) {
    if (error instanceof RegistryError && !signal.aborted) {
      return true;
    }
    throw error;
  }
}

/**
 * Of these, the images that share no part with this one. A runtime names an image by any index that it knows with the
 * same manifest: another one may be as little another image as the manifest itself.
 */
export async function findUnrelated(
  deps: EnsureCopyDeps,
  {
    source,
    digest,
    others,
  }: { readonly source: Reference; readonly digest: string; readonly others: readonly string[] },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const own = others.length === 0 ? undefined : await fetchParts(deps, { source, digest }, signal);
  const unrelated: string[] = [];
  for (const other of others) {
    const isOfOne = own && (await isRelated(deps, { source, digest: other, own }, signal));
    unrelated.push(...(isOfOne ? [] : [other]));
  }
  return unrelated;
}
