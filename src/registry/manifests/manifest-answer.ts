import { createHash } from 'node:crypto';

import { RegistryError } from '../../errors.ts';
import { isDigest } from '../../images/reference.ts';
import { LONGEST_QUOTED } from '../../plain-text.ts';
import type { HttpAnswer } from './http-client.ts';
import type { ImageAccess, ManifestHead } from './image-access.ts';
import type { RegistryRequest } from './registry-request.ts';

/** So some say of a repository that nobody has pushed to yet. */
export function isUnknownName({ status, body }: HttpAnswer): boolean {
  return status === 400 && body.toString('utf8', 0, LONGEST_QUOTED).includes('"NAME_UNKNOWN"');
}

/** Undefined when it does not say the digest. */
export function readHead(
  answer: HttpAnswer,
  image: ImageAccess,
  request: RegistryRequest,
): ManifestHead | undefined {
  const digest = readDigest(answer);
  return digest === undefined
    ? undefined
    : {
        digest: checkDigest(digest, image, request),
        mediaType: readMediaType(answer),
        sizeBytes: readLength(answer),
      };
}

function readDigest({ headers }: HttpAnswer): string | undefined {
  const digest = headers['docker-content-digest'];
  return typeof digest === 'string' && isDigest(digest) ? digest : undefined;
}

export function readMediaType({ headers }: HttpAnswer): string {
  return headers['content-type']?.split(';')[0]?.trim() ?? '';
}

function readLength({ headers }: HttpAnswer): number | undefined {
  const bytes = Number(headers['content-length'] ?? Number.NaN);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}

/**
 * For registries that do not name the digest. A login page of a proxy has a hash too, so it has to look like
 * a manifest.
 */
export function hashManifest(
  { body }: HttpAnswer,
  { reference, side }: ImageAccess,
  { access }: RegistryRequest,
): string {
  if (!/"schemaVersion"\s*:\s*[12]\b/.test(body.toString('utf8'))) {
    const message = `${access.doing}: ${side} registry ${access.origin.host} sent something that is no manifest`;
    throw new RegistryError(message, { reason: 'Unknown', side });
  }
  const algorithm = reference.digest?.split(':')[0] ?? 'sha256';
  return `${algorithm}:${createHash(algorithm).update(body).digest('hex')}`;
}

export function checkDigest(
  digest: string,
  { reference, side }: ImageAccess,
  { access }: RegistryRequest,
): string {
  if (reference.digest !== undefined && digest !== reference.digest) {
    const message = `${access.doing}: ${side} registry ${access.origin.host} has ${digest} under this digest`;
    throw new RegistryError(message, { reason: 'Unknown', side });
  }
  return digest;
}
