import type { Platforms } from '../../images/platforms.ts';
import { keepLargest, type Layer } from '../manifests/listed-layers.ts';
import type { IndexEntry, ManifestContent } from '../manifests/manifest-content.ts';
import type { PinnedAccess } from '../manifests/image-access.ts';
import { startTimer, toPart, type WalkDeps, walkParts } from './part-walk.ts';

/**
 * The large layers of an image, of all platforms that are wanted. A GET for each manifest that was not read before: for where
 * that costs nothing.
 *
 * @throws {RegistryError}
 */
export type ListLayers = (image: PinnedAccess, platforms: Platforms) => Promise<readonly Layer[]>;

/** At the same time: the engine waits for them. */
const READ_AT_ONCE = 4;
/** Of a manifest whose size its index does not say: it was read for its size, or is not worth it. */
const NO_SIZE = 64 * 1024;
/** What more platforms have is sent. */
const MOST_READ = 40;

export function createLayerLister(deps: WalkDeps): ListLayers {
  return async (image, platforms) => {
    const top = await deps.read(image);
    if (top?.is !== 'index') {
      return listLarge(top);
    }
    const { wanted } = await walkParts(deps, { image, top, platforms });
    const sizes = new Map(
      wanted.filter(mayBeLarge).map(({ digest, sizeBytes = NO_SIZE }) => [digest, sizeBytes] as const),
    );
    const digests = [...sizes.keys()].slice(0, MOST_READ);
    const checkTime = startTimer(deps.clock, image);
    const found: Layer[] = [];
    for (let index = 0; index < digests.length; index += READ_AT_ONCE) {
      checkTime();
      const batch = digests.slice(index, index + READ_AT_ONCE);
      const contents = await Promise.all(
        batch.map((digest) => deps.read(toPart(image, digest, sizes.get(digest)))),
      );
      found.push(...contents.flatMap(listLarge));
    }
    return keepLargest(found);
  };
}

/** Attestations are for the platform `unknown`, and small. */
function mayBeLarge({ is, platform }: IndexEntry): boolean {
  return is !== 'index' && platform?.os !== 'unknown';
}

function listLarge(content: ManifestContent | undefined): readonly Layer[] {
  return content?.is === 'manifest' ? content.large : [];
}
