import { RegistryError } from '../errors.ts';
import { hideSecrets } from '../plain-text.ts';

/** The same error, or one without the secrets in its place: a registry may have put them into any text or name of its own. */
export function toSecretFree(error: unknown, secrets: Iterable<string>): unknown {
  if (!(error instanceof RegistryError)) {
    return error;
  }
  const message = hideSecrets(error.message, [...secrets]);
  if (message === error.message) {
    return error;
  }
  const { reason, side, retryAtMs } = error;
  return new RegistryError(message, { reason, side, ...(retryAtMs !== undefined && { retryAtMs }) });
}
