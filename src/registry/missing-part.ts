import { RegistryError } from '../errors.ts';
import type { Platforms } from '../images/platforms.ts';
import { formatReference } from '../images/reference.ts';
import { listIndexParts } from './manifests/index-parts.ts';
import type { ImageAccess, ManifestClient } from './manifests/manifests.ts';

/**
 * Looks up what an index consists of, one after another: nobody is in a hurry. Undefined when nothing is missing.
 *
 * @throws {RegistryError} `Unsupported` when the image is for none of the platforms.
 */
export async function findMissingPart(
  manifests: ManifestClient,
  image: ImageAccess & { readonly reference: { readonly digest: string } },
  platforms: Platforms,
): Promise<string | undefined> {
  const parts = listIndexParts(await manifests.fetchManifest(image), platforms);
  if (parts?.isUnwanted) {
    const message = `${formatReference(image.reference)} has nothing for ${[platforms].flat().join(', ')} (PLATFORMS)`;
    throw new RegistryError(message, { reason: 'Unsupported', side: 'source' });
  }
  const { host, repository } = image.reference;
  for (const digest of parts?.wanted ?? []) {
    if ((await manifests.fetchDigest({ ...image, reference: { host, repository, digest } })) === undefined) {
      return digest;
    }
  }
  return undefined;
}
