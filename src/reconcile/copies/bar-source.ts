import { RegistryError } from '../../errors.ts';
import { formatReference, type Reference } from '../../images/reference.ts';
import type { ImageRegistry } from '../ports.ts';

/** The registries, without one that SOURCE_HOSTS does not name any more: whatever asks it as a source is told so. */
export function barSource(registry: ImageRegistry, host: string): ImageRegistry {
  const check = (reference: Reference, side: 'source' | 'backup'): void => {
    if (side === 'source' && reference.host === host) {
      const message = `${formatReference(reference)} is of the host ${host}, which SOURCE_HOSTS does not name`;
      throw new RegistryError(message, { reason: 'Unauthorized', side });
    }
  };
  return {
    async fetchDigest(reference, side, signal) {
      check(reference, side);
      return registry.fetchDigest(reference, side, signal);
    },
    async copy(job, signal) {
      check(job.source, 'source');
      return registry.copy(job, signal);
    },
    async findAbsentParts(image, where, signal) {
      check(image, where.side);
      return registry.findAbsentParts(image, where, signal);
    },
    async listParts(image, side, signal) {
      check(image, side);
      return registry.listParts(image, side, signal);
    },
    async isPrivate(reference, side, signal) {
      check(reference, side);
      return registry.isPrivate(reference, side, signal);
    },
    findMissingPart: (copy, platforms, signal) => registry.findMissingPart(copy, platforms, signal),
    tag: (copy, tag, signal) => registry.tag(copy, tag, signal),
  };
}
