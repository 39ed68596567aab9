import type { Platforms } from '../../images/platforms.ts';
import type { ImageParts } from '../../reconcile/ports.ts';
import { createContentError, type IndexEntry } from '../manifests/manifest-content.ts';
import type { PinnedAccess } from '../manifests/image-access.ts';
import { createNotFoundError, type ManifestClient } from '../manifests/manifests.ts';
import { toPart, type WalkDeps, walkParts } from './part-walk.ts';

/** Knows what images consist of, and what of it a registry does not have. */
export interface PartFinder {
  /** Undefined when the registry does not have the image. What an index consists of is left out if that is missing. */
  listParts(image: PinnedAccess): Promise<ImageParts | undefined>;
  /** @throws {RegistryError} `Unsupported` when the image is for none of the platforms. */
  findMissingPart(image: PinnedAccess, platforms: Platforms): Promise<string | undefined>;
}

interface PartDeps extends WalkDeps {
  readonly manifests: ManifestClient;
}

export function createPartFinder(deps: PartDeps): PartFinder {
  const { read, manifests } = deps;
  return {
    async listParts(image) {
      const top = await read(image);
      if (top?.is !== 'index') {
        return top && { is: 'manifest' };
      }
      const { wanted } = await walkParts(deps, { image, top, platforms: 'all' });
      return { is: 'index', digests: listDigests(wanted) };
    },

    async findMissingPart(image, platforms) {
      const top = await read(image);
      if (!top) {
        throw createNotFoundError(image);
      }
      if (top.is === 'manifest') {
        return undefined;
      }
      const { wanted, missing, isUnwanted } = await walkParts(deps, { image, top, platforms });
      if (missing !== undefined) {
        return missing;
      }
      if (isUnwanted) {
        const problem = `has nothing for ${[platforms].flat().join(', ')} (PLATFORMS)`;
        throw createContentError(image.reference, problem);
      }
      for (const digest of listDigests(wanted)) {
        if ((await manifests.fetchDigest(toPart(image, digest))) === undefined) {
          return digest;
        }
      }
      return undefined;
    },
  };
}

function listDigests(entries: readonly IndexEntry[]): ReadonlySet<string> {
  return new Set(entries.map(({ digest }) => digest));
}
