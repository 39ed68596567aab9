import { RegistryError } from '../../errors.ts';
import { formatReference, type Reference, withDigest } from '../../images/reference.ts';
import type { ImageRegistry } from '../ports.ts';

function pinned({ host, repository }: Reference, digest: string): string {
  return formatReference(withDigest({ host, repository }, digest));
}

/**
 * Looks things up and makes nothing. A copy whose source is there counts as made from then on: that is how a plan goes on
 * from it.
 */
export function createLookOnlyRegistry(
  registry: Pick<
    ImageRegistry,
    'fetchDigest' | 'findMissingPart' | 'findAbsentParts' | 'listParts' | 'isPrivate'
  >,
): ImageRegistry {
  const made = new Set<string>();
  return {
    async fetchDigest(reference, side, signal) {
      const { digest } = reference;
      const isMade = side === 'backup' && digest !== undefined && made.has(pinned(reference, digest));
      return isMade ? digest : registry.fetchDigest(reference, side, signal);
    },
    async findMissingPart(copy, platforms, signal) {
      const isMade = made.has(pinned(copy, copy.digest));
      return isMade ? undefined : registry.findMissingPart(copy, platforms, signal);
    },
    findAbsentParts: (image, where, signal) => registry.findAbsentParts(image, where, signal),
    listParts: (image, side, signal) => registry.listParts(image, side, signal),
    isPrivate: (reference, side, signal) => registry.isPrivate(reference, side, signal),
    async copy({ source, copy }, signal) {
      const digest = await registry.fetchDigest(source, 'source', signal);
      if (digest === undefined) {
        const message = `${formatReference(source)} does not exist, or may not be read`;
        throw new RegistryError(message, { reason: 'NotFound', side: 'source' });
      }
      made.add(pinned(copy, digest));
      return { layersSent: 0, bytesSent: 0, layersMounted: 0, bytesMounted: 0 };
    },
    tag: async () => undefined,
  };
}
