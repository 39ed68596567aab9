import { RegistryError } from '../errors.ts';
import { formatReference } from '../images/reference.ts';
import type { Platforms } from '../images/platforms.ts';
import type { CopyJob } from '../reconcile/ports.ts';
import type { SizedImage } from './content/image-size.ts';
import type { Layer } from './manifests/listed-layers.ts';
import type { ImageAccess, PinnedAccess } from './manifests/manifests.ts';
import { MANIFEST_KINDS } from './manifests/media-types.ts';
import { access, type RegistryContext } from './registry-context.ts';
import { toApiOrigin } from './registry-address.ts';

/**
 * Refuses an image that is too large to be copied, and returns its large layers, for what of them may be mounted. For that its
 * manifests are read here as well as by the engine: only where downloads are not counted, or plenty are left. What is to be
 * repaired is sent, whatever was learned before.
 *
 * @throws {RegistryError}
 */
export async function inspectSource(
  context: RegistryContext,
  job: CopyJob,
  signal: AbortSignal,
): Promise<readonly Layer[]> {
  const { platforms = 'all', isRepair = false } = job;
  const { host } = toApiOrigin(job.source.host, context.settings().insecureRegistries);
  const source = await access(context, { reference: job.source, side: 'source', signal });
  const backup = await access(context, { reference: job.copy, side: 'backup', signal });
  const mayRead = (): boolean =>
    !isRepair && context.sharing.mayMount(source, backup) && context.allowances.isPlenty(host);
  const look = await lookAtSource(context, source, mayRead());
  context.allowances.check(host, `copying ${formatReference(job.source)} to ${formatReference(job.copy)}`);
  if (!look) {
    return [];
  }
  await context.checkSize({ ...look, platforms });
  return mayRead() ? listLayers(context, look.image, platforms) : [];
}

/**
 * One request, unless the manifest has to be hashed. The engine follows a challenge wherever it points. We do not, so it only
 * gets a credential when we would use it: what is known already is asked for all the same.
 */
async function lookAtSource(
  context: RegistryContext,
  source: ImageAccess,
  isToBeRead: boolean,
): Promise<Omit<SizedImage, 'platforms'> | undefined> {
  const { reference } = source;
  if (isToBeRead && reference.digest !== undefined && !context.isRead(reference.digest)) {
    const image = { ...source, reference: { ...reference, digest: reference.digest } };
    const content = await context.read(image);
    return content && { image, kind: content.is, sizeBytes: content.sizeBytes };
  }
  const head = await context.manifests.fetchHead(source);
  return (
    head && {
      image: { ...source, reference: { ...reference, digest: head.digest } },
      kind: MANIFEST_KINDS.get(head.mediaType),
      sizeBytes: head.sizeBytes,
    }
  );
}

/** What cannot be read, the engine may be able to copy all the same. */
async function listLayers(
  context: RegistryContext,
  image: PinnedAccess,
  platforms: Platforms,
): Promise<readonly Layer[]> {
  try {
    return await context.listLayers(image, platforms);
  } catch (error) {
    if (error instanceof RegistryError && error.reason !== 'RateLimited') {
      return [];
    }
    throw error;
  }
}
