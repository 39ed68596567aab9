import { formatReference } from '../../images/reference.ts';
import type { ContentMemory } from './content-memory.ts';
import type { HostAllowances } from '../limits/host-allowances.ts';
import {
  isSameEverywhere,
  type ManifestContent,
  parseManifestContent,
} from '../manifests/manifest-content.ts';
import type { ImageAccess, PinnedAccess } from '../manifests/image-access.ts';
import type { ManifestClient } from '../manifests/manifests.ts';
import { toApiOrigin } from '../registry-address.ts';

/**
 * What a manifest consists of; undefined when the registry does not have it. Read once, from whichever registry: a GET
 * counts as a download at some of them, and a HEAD does not.
 *
 * @throws {RegistryError} `Unsupported` when it cannot be read; `RateLimited` while downloads are left to the nodes.
 */
export type ReadContent = (image: PinnedAccess) => Promise<ManifestContent | undefined>;

export interface ContentReaderDeps {
  readonly manifests: ManifestClient;
  readonly allowances: HostAllowances;
  readonly memory: ContentMemory;
}

export function createContentReader({ manifests, allowances, memory }: ContentReaderDeps): ReadContent {
  async function checkAllowance(image: ImageAccess): Promise<void> {
    const { host } = toApiOrigin(image.reference.host, image.insecureRegistries);
    if (allowances.isOutdated(host)) {
      await manifests.fetchDigest(image);
    }
    allowances.check(host, `reading ${formatReference(image.reference)}`);
  }

  return async (image) => {
    const { reference, side } = image;
    const known = memory.recall(reference.digest);
    if (known) {
      return known;
    }
    if (side === 'source') {
      await checkAllowance(image);
    }
    const manifest = await manifests.fetchManifest(image);
    if (!manifest) {
      return undefined;
    }
    const content = parseManifestContent(manifest, reference);
    if (isSameEverywhere(manifest, content)) {
      memory.remember(reference.digest, content);
    }
    return content;
  };
}
