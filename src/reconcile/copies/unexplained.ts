import { RegistryError } from '../../errors.ts';
import { formatReference, withDigest } from '../../images/reference.ts';
import type { CopyPlan, EnsureCopyDeps } from './copy-plan.ts';
import type { VerifiedCopy } from './copy-state.ts';

/**
 * Whether the backup still has an image that pods run from it, and all of its parts. Nobody knows its source, so nobody can make
 * it again.
 *
 * @throws {RegistryError} when it does not have it, or cannot be asked.
 */
export async function checkUnexplained(
  { registry, nowMs }: EnsureCopyDeps,
  { request, onMissing }: Pick<CopyPlan, 'request'> & { readonly onMissing: () => void },
  signal: AbortSignal,
): Promise<VerifiedCopy> {
  const { source: image } = request;
  const digest = await registry.fetchDigest(image, 'backup', signal);
  const part = digest && (await registry.findMissingPart(withDigest(image, digest), 'all', signal));
  if (digest === undefined || part !== undefined) {
    onMissing();
    const what = part === undefined ? formatReference(image) : `${part} of ${formatReference(image)}`;
    throw new RegistryError(`the backup does not have ${what}`, { reason: 'NotFound', side: 'backup' });
  }
  return {
    phase: 'verified',
    digest,
    image: formatReference(withDigest(image, digest)),
    provenAtMs: nowMs(),
  };
}
