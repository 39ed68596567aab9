import { IncompleteImageError, RefusedManifestError, RegistryError } from '../errors.ts';
import { formatReference } from '../images/reference.ts';
import type { CopyJob } from '../reconcile/ports.ts';
import type { RefusalCause } from './content/refusal-cause.ts';
import type { ImageAccess } from './manifests/image-access.ts';
import type { RegistryContext } from './registry-context.ts';

export interface FailedCopy {
  readonly job: CopyJob;
  readonly source: ImageAccess;
}

/** An error that says more than that of the engine, where the image itself tells why it could not be copied. */
export async function explainFailure(
  context: RegistryContext,
  failed: FailedCopy,
  error: unknown,
): Promise<unknown> {
  return (await findAbsence(context, failed, error)) ?? (await findCause(context, failed, error)) ?? error;
}

/** "Not found" may be about a part of the image, which the source has: such an image is not gone. */
async function findAbsence(
  context: RegistryContext,
  { job, source }: FailedCopy,
  error: unknown,
): Promise<IncompleteImageError | undefined> {
  const { digest } = job.source;
  const isNotFound = error instanceof RegistryError && error.reason === 'NotFound' && error.side === 'source';
  if (!isNotFound || digest === undefined) {
    return undefined;
  }
  const image = { ...source, reference: { ...source.reference, digest } };
  const parts = await context.findAbsentParts(image, job.platforms ?? 'all');
  const message =
    `${describeCopy(job)}: the source has this image, but not all that it names: ${parts?.missing}. ` +
    'Push it there again with all its platforms, or deploy an image that names only those which are there';
  return parts && new IncompleteImageError(message, parts);
}

/** A refusal that reads like an outage or a broken image, and is about what the image is made of. */
async function findCause(
  context: RegistryContext,
  { job, source }: FailedCopy,
  error: unknown,
): Promise<RegistryError | undefined> {
  const { digest } = job.source;
  if (!(error instanceof RefusedManifestError) || digest === undefined) {
    return undefined;
  }
  const image = { ...source, reference: { ...source.reference, digest } };
  const { manifest, said, reason } = error;
  const cause = await context.findRefusalCause({ image, platforms: job.platforms ?? 'all', manifest });
  // Another algorithm than that of its digest is reason enough.
  const isOfTypes = reason === 'Unsupported' && digest.startsWith('sha256:');
  if (cause === undefined || (cause === 'docker-media-types' && !isOfTypes)) {
    return undefined;
  }
  return new RegistryError(`${said}. ${WORDS[cause]}`, { reason: 'Unsupported', side: 'backup' });
}

const WORDS: Readonly<Record<RefusalCause, string>> = {
  'foreign-layers':
    'The image has layers that are kept at an address of their vendor (foreign layers, as those of Windows), and the ' +
    'backup refuses such manifests. Allow these addresses there (distribution: validation.manifests.urls.allow), or set ' +
    'PLATFORMS to the platforms of the nodes, with a backup that takes images of which not all platforms are there',
  'docker-media-types':
    'The image has the media types of Docker, as most images that "docker build" has made: a registry that knows only those ' +
    'of OCI has to be told to take them (zot: "http": {"compat": ["docker2s2"]})',
};

export function describeCopy({ source, copy: target }: CopyJob): string {
  return `copying ${formatReference(source)} to ${formatReference(target)}`;
}
