import { RegistryError } from '../errors.ts';
import type { Platforms } from '../images/platforms.ts';
import { formatReference } from '../images/reference.ts';
import { type IndexParts, listIndexParts } from './manifests/index-parts.ts';
import type { ImageAccess, ManifestClient } from './manifests/manifests.ts';

type PinnedAccess = ImageAccess & { readonly reference: { readonly digest: string } };

/** About 1 kB each; the oldest are forgotten. */
const MOST_REMEMBERED = 2_000;

/**
 * Looks up what an index consists of, one after another: nobody is in a hurry. What it consists of never changes, so it
 * is read once: a GET counts as a download at some registries, and a HEAD does not.
 */
export function createPartFinder(
  manifests: ManifestClient,
): (image: PinnedAccess, platforms: Platforms) => Promise<string | undefined> {
  const remembered = new Map<string, IndexParts>();

  async function listParts(image: PinnedAccess, platforms: Platforms): Promise<IndexParts> {
    const key = `${image.reference.digest} ${[platforms].flat().join()}`;
    const known = remembered.get(key);
    const parts = known ?? listIndexParts(await manifests.fetchManifest(image), platforms);
    remembered.delete(key);
    remembered.set(key, parts);
    const [oldest = key] = remembered.keys();
    if (remembered.size > MOST_REMEMBERED) {
      remembered.delete(oldest);
    }
    return parts;
  }

  /** @throws {RegistryError} `Unsupported` when the image is for none of the platforms. */
  return async function findMissingPart(image, platforms) {
    const { wanted, isUnwanted } = await listParts(image, platforms);
    if (isUnwanted) {
      const message = `${formatReference(image.reference)} has nothing for ${[platforms].flat().join(', ')} (PLATFORMS)`;
      throw new RegistryError(message, { reason: 'Unsupported', side: 'source' });
    }
    const { host, repository } = image.reference;
    for (const digest of wanted) {
      const part = { ...image, reference: { host, repository, digest } };
      if ((await manifests.fetchDigest(part)) === undefined) {
        return digest;
      }
    }
    return undefined;
  };
}
