import { ApiError, ConflictError, WriteDeniedError } from '../../errors.ts';
import type { StatusDetails } from './api-errors.ts';

/** An object of the same name but another identity is refused as if the patch were wrong. */
function isOtherIdentity(error: ApiError): boolean {
  const details = error.cause as StatusDetails | undefined;
  return (
    error.status === 422 &&
    (details?.causes.some(({ field }) => ['metadata.uid', 'metadata.resourceVersion'].includes(field)) ===
      true ||
      /precondition/iu.test(details?.message ?? ''))
  );
}

/** All annotations together may have 256 KiB. */
function isFull(error: ApiError): boolean {
  const details = error.cause as StatusDetails | undefined;
  return (
    details?.causes.some(
      ({ field, message }) => field === 'metadata.annotations' && /too long/iu.test(message),
    ) === true
  );
}

/** The error of a refused write, by what the caller does next; other errors stay what they are. */
export function explainRefusal(error: unknown): unknown {
  if (!(error instanceof ApiError)) {
    return error;
  }
  if ([404, 409].includes(error.status) || isOtherIdentity(error)) {
    return new ConflictError(error.message, { cause: error });
  }
  return [403, 422].includes(error.status)
    ? new WriteDeniedError(error.message, { cause: error, isFull: isFull(error) })
    : error;
}
