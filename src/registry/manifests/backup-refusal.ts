import type { RegistryFailure } from '../../errors.ts';

const IMMUTABLE = /immutab|TagAlreadyExists|tag.{0,40}already exists/i;
const QUOTA =
  /quota|exceed.{0,60}limit|insufficient storage|no space left|upgrade your (?:plan|subscription)/i;
const UNSUPPORTED = /MANIFEST_INVALID|UNSUPPORTED|NAME_INVALID|TAG_INVALID|media type/i;

/** The others say it all. */
const SPOKEN_STATUSES: ReadonlySet<number> = new Set([400, 403, 405, 409, 412, 422]);

/**
 * What the backup means by refusing a write. Registries use 400, 403, 409 and 412 for the same things, so
 * their words count; undefined when the status says it all.
 */
export function readBackupRefusal(status: number, body: string): RegistryFailure | undefined {
  if (!SPOKEN_STATUSES.has(status)) {
    return undefined;
  }
  if (IMMUTABLE.test(body)) {
    return 'ImmutableTag';
  }
  if (QUOTA.test(body)) {
    return 'QuotaExceeded';
  }
  if (status === 409) {
    return 'ImmutableTag';
  }
  return status === 400 && UNSUPPORTED.test(body) ? 'Unsupported' : undefined;
}
