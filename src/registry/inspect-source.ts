import { RegistryError, type RegistryFailure } from '../errors.ts';
import { formatReference } from '../images/reference.ts';
import type { Platforms } from '../images/platforms.ts';
import type { CopyJob } from '../reconcile/ports.ts';
import type { SizedImage } from './content/image-size.ts';
import type { Layer } from './manifests/listed-layers.ts';
import type { ImageAccess, PinnedAccess } from './manifests/image-access.ts';
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
  const read = mayRead() ? await readTop(context, source) : 'not read';
  const look = typeof read === 'string' ? await lookUp(context, source) : read;
  context.allowances.check(host, `copying ${formatReference(job.source)} to ${formatReference(job.copy)}`);
  if (!look) {
    return [];
  }
  await context.checkSize({ ...look, platforms });
  return read !== 'broken' && mayRead() ? listLayers(context, look.image, platforms) : [];
}

type Look = Omit<SizedImage, 'platforms'>;

/** These a look-up would tell as well. About what cannot be read, the engine has the last word. */
const CERTAIN: ReadonlySet<RegistryFailure> = new Set(['Unauthorized', 'RateLimited', 'Timeout']);

/** In place of a look-up, which tells less; undefined when there is no such image. What was read before costs no request. */
async function readTop(
  context: RegistryContext,
  source: ImageAccess,
): Promise<Look | undefined | 'not read' | 'broken'> {
  const { reference } = source;
  if (reference.digest === undefined || context.isRead(reference.digest)) {
    return 'not read';
  }
  const image = { ...source, reference: { ...reference, digest: reference.digest } };
  try {
    const content = await context.read(image);
    return content && { image, kind: content.is, sizeBytes: content.sizeBytes };
  } catch (error) {
    if (error instanceof RegistryError && !CERTAIN.has(error.reason)) {
      return 'broken';
    }
    throw error;
  }
}

/**
 * The engine follows a challenge wherever it points. We do not, so it only gets a credential when we would use it: what is known
 * already is asked for all the same.
 */
async function lookUp({ manifests }: RegistryContext, source: ImageAccess): Promise<Look | undefined> {
  const head = await manifests.fetchHead(source);
  return (
    head && {
      image: { ...source, reference: { ...source.reference, digest: head.digest } },
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
