import type { Platforms } from '../../images/platforms.ts';
import {
  findExcess,
  type ImageFigures,
  MOST_LAYERS,
  MOST_LAYERS_TOGETHER,
} from '../manifests/image-limits.ts';
import { createContentError, type IndexEntry, type ManifestContent } from '../manifests/manifest-content.ts';
import type { PinnedAccess } from '../manifests/image-access.ts';
import type { ManifestKind } from '../manifests/media-types.ts';
import { startTimer, toPart, type WalkDeps, walkParts } from './part-walk.ts';

/** An image that is about to be copied. */
export interface SizedImage {
  readonly image: PinnedAccess;
  /** What its registry says of it; undefined when it does not say. */
  readonly kind: ManifestKind | undefined;
  readonly sizeBytes: number | undefined;
  readonly platforms: Platforms;
}

/**
 * Refuses what would take too much memory to copy, before anything is started for it.
 *
 * @throws {RegistryError} `Unsupported` for an image over the limits.
 */
export type CheckSize = (image: SizedImage) => Promise<void>;

/** What the digest alone of a layer takes in a manifest: `{"digest":"sha256:…"},`. */
const LEAST_LAYER_BYTES = 85;
/**
 * Manifests that take no more than this cannot name too many layers, each and all. They are left to the engine: to read
 * them here as well would double what an image costs at registries that count downloads by manifests.
 */
const MOST_UNREAD_BYTES = MOST_LAYERS * LEAST_LAYER_BYTES;
const MOST_UNREAD_BYTES_TOGETHER = MOST_LAYERS_TOGETHER * LEAST_LAYER_BYTES;

/**
 * Of an ordinary image only the index is read, and of one with a single manifest nothing at all: what it is and how large
 * costs one HEAD, which no registry counts. A registry may lie about sizes, and the engine does not compare them: see
 * `createReadingGuard`, and the limit on its memory, for those who do.
 */
export function createSizeCheck(deps: WalkDeps): CheckSize {
  return async ({ image, kind, sizeBytes, platforms }) => {
    if (kind === 'manifest' && !mayBeLarge(sizeBytes)) {
      return;
    }
    const top = await deps.read(image);
    if (top?.is === 'manifest') {
      refuse(image, { layers: top.layers, manifestBytes: top.sizeBytes });
    }
    if (top?.is !== 'index') {
      return;
    }
    const { wanted } = await walkParts(deps, { image, top, platforms });
    const sizes = listSizes(wanted);
    const saidBytes = [...sizes.values()].reduce<number>((sum, bytes = 0) => sum + bytes, 0);
    refuse(image, { manifestBytes: top.sizeBytes + saidBytes });
    if (saidBytes > MOST_UNREAD_BYTES_TOGETHER || [...sizes.values()].some(mayBeLarge)) {
      await readAll(deps, { image, top, digests: sizes.keys() });
    }
  };
}

function mayBeLarge(sizeBytes: number | undefined): boolean {
  return sizeBytes === undefined || sizeBytes > MOST_UNREAD_BYTES;
}

/** By digest; undefined where the index does not say it. Of several sizes that are said of one, the largest counts. */
function listSizes(entries: readonly IndexEntry[]): ReadonlyMap<string, number | undefined> {
  const sizes = new Map<string, number | undefined>();
  for (const { digest, sizeBytes } of entries) {
    const before = sizes.has(digest) ? sizes.get(digest) : 0;
    const isSaid = sizeBytes !== undefined && before !== undefined;
    sizes.set(digest, isSaid ? Math.max(sizeBytes, before) : undefined);
  }
  return sizes;
}

interface Reading {
  readonly image: PinnedAccess;
  readonly top: ManifestContent;
  readonly digests: Iterable<string>;
}

/** One after another: of what was read before a registry was too slow, or its limit reached, nothing is read again. */
async function readAll({ read, clock }: WalkDeps, { image, top, digests }: Reading): Promise<void> {
  const checkTime = startTimer(clock, image);
  let manifestBytes = top.sizeBytes;
  let layersTogether = 0;
  for (const digest of digests) {
    checkTime();
    const content = await read(toPart(image, digest));
    const layers = content?.is === 'manifest' ? content.layers : 0;
    manifestBytes += content?.sizeBytes ?? 0;
    layersTogether += layers;
    refuse(image, { manifestBytes, layers, layersTogether });
  }
}

function refuse({ reference }: PinnedAccess, figures: ImageFigures): void {
  const excess = findExcess(figures);
  if (excess !== undefined) {
    throw createContentError(reference, excess);
  }
}
