import { RegistryError } from '../../errors.ts';
import { isWantedPlatform, type Platforms } from '../../images/platforms.ts';
import { isDigest } from '../../images/reference.ts';
import type { PinnedAccess } from '../manifests/image-access.ts';
import type { IndexEntry, ManifestContent } from '../manifests/manifest-content.ts';
import type { ReadContent } from './content-reader.ts';
import { toPart } from './part-walk.ts';

/** An image whose manifest the backup has refused, under this tag or digest. */
export interface RefusedImage {
  readonly image: PinnedAccess;
  readonly platforms: Platforms;
  readonly manifest: string;
}

/**
 * Whether the image has layers that are kept elsewhere (foreign, nondistributable), which is why a backup may refuse it, or be
 * refused a part of it. What cannot be read is no reason.
 */
export type HasForeignLayers = (refused: RefusedImage) => Promise<boolean>;

/** Windows has one or two parts for each version of it. */
const MOST_READ = 8;

export function createForeignFinder(read: ReadContent): HasForeignLayers {
  async function tryRead(image: PinnedAccess): Promise<ManifestContent | undefined> {
    try {
      return await read(image);
    } catch (error) {
      if (error instanceof RegistryError && !image.signal.aborted) {
        return undefined;
      }
      throw error;
    }
  }

  async function isForeign(image: PinnedAccess): Promise<boolean> {
    const content = await tryRead(image);
    return content?.is === 'manifest' && content.hasForeign === true;
  }

  return async ({ image, platforms, manifest }) => {
    if (isDigest(manifest)) {
      return isForeign(toPart(image, manifest));
    }
    const top = await tryRead(image);
    if (top?.is !== 'index') {
      return top?.hasForeign === true;
    }
    for (const { digest } of listLeftOut(top.entries, platforms)) {
      if (await isForeign(toPart(image, digest))) {
        return true;
      }
    }
    return false;
  };
}

/** Only Windows has such layers. */
function listLeftOut(entries: readonly IndexEntry[], platforms: Platforms): readonly IndexEntry[] {
  return entries
    .filter(({ platform }) => platform?.os === 'windows' && !isWantedPlatform(platform, platforms))
    .slice(0, MOST_READ);
}
