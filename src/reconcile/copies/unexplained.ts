import { RegistryError } from '../../errors.ts';
import { formatReference, withDigest } from '../../images/reference.ts';
import type { CopyPlan, EnsureCopyDeps } from './copy-plan.ts';
import type { VerifiedCopy } from './copy-state.ts';

/**
 * Whether the backup still has an image that pods run from it. Which parts of it were ever there, nobody knows: the controller
 * before this one copied for one platform. Nor does anybody know its source, so nobody can make it again.
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
  if (digest === undefined) {
    onMissing();
    throw new RegistryError(`the backup does not have ${formatReference(image)}`, {
      reason: 'NotFound',
      side: 'backup',
    });
  }
  return {
    phase: 'verified',
    digest,
    image: formatReference(withDigest(image, digest)),
    provenAtMs: nowMs(),
  };
}
