import { RegistryError, type RegistryFailure, type RegistrySide } from '../../errors.ts';
import { HttpError } from './http-client.ts';
import { toPlainText } from '../../plain-text.ts';

const REASONS: Readonly<Record<HttpError['kind'], RegistryFailure>> = {
  timeout: 'Timeout',
  tooLarge: 'Unsupported',
  unreachable: 'RegistryUnavailable',
};

/**
 * The failure of a request that got no usable answer; errors that are none of the network's stay what they
 * are.
 */
export function toTransportError(
  error: unknown,
  { doing, side, host }: { readonly doing: string; readonly side: RegistrySide; readonly host: string },
): unknown {
  if (!(error instanceof HttpError)) {
    return error;
  }
  const what = error.kind === 'tooLarge' ? 'sent too much' : 'gave no answer';
  const message = `${doing}: ${side} registry ${host} ${what} (${toPlainText(error.message)})`;
  return new RegistryError(message, { reason: REASONS[error.kind], side });
}
