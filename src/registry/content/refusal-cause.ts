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
 * What a backup may refuse an image for: layers that are kept elsewhere (foreign, nondistributable), in what was refused or in
 * a part that was left out; or the media types of Docker, where only those of OCI are taken.
 */
export type RefusalCause = 'foreign-layers' | 'docker-media-types';

/** Undefined when the image tells nothing that explains a refusal; what cannot be read explains none. */
export type FindRefusalCause = (refused: RefusedImage) => Promise<RefusalCause | undefined>;

/** Windows has one or two parts for each version of it. */
const MOST_READ = 8;

export function createCauseFinder(read: ReadContent): FindRefusalCause {
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

  async function leavesOutForeign(image: PinnedAccess, entries: readonly IndexEntry[]): Promise<boolean> {
    for (const { digest } of entries) {
      if (await isForeign(toPart(image, digest))) {
        return true;
      }
    }
    return false;
  }

  return async ({ image, platforms, manifest }) => {
    const refused = await tryRead(isDigest(manifest) ? toPart(image, manifest) : image);
    if (refused?.is === 'manifest') {
      const docker = refused.isDocker === true ? 'docker-media-types' : undefined;
      return refused.hasForeign === true ? 'foreign-layers' : docker;
    }
    if (!refused) {
      return undefined;
    }
    const leftOut = listLeftOut(refused.entries, platforms);
    const docker = refused.isDocker === true && platforms === 'all' ? 'docker-media-types' : undefined;
    return (await leavesOutForeign(image, leftOut)) ? 'foreign-layers' : docker;
  };
}

/** Only Windows has such layers. */
function listLeftOut(entries: readonly IndexEntry[], platforms: Platforms): readonly IndexEntry[] {
  return entries
    .filter(({ platform }) => platform?.os === 'windows' && !isWantedPlatform(platform, platforms))
    .slice(0, MOST_READ);
}
