import { STATUS_CODES } from 'node:http';

import { RegistryError, type RegistryFailure, type RegistrySide } from '../errors.ts';
import { quoteRegistryError } from '../plain-text.ts';
import { parseRetryAfterMs } from './limits/retry-after.ts';

/** An answer of a registry, or of its token service, that is not the one that was hoped for. */
export interface FailedAnswer {
  /** What was being done, starting with a verb: `looking up b.io/x:1`. */
  readonly doing: string;
  readonly side: RegistrySide;
  /** Who answered. */
  readonly host: string;
  readonly status: number;
  /** What was asked: `HEAD manifest`. */
  readonly operation: string;
  readonly retryAfter?: string | undefined;
  readonly body?: string;
  /** When the caller knows better than the status alone. */
  readonly reason?: RegistryFailure;
  /** What a person can do about it, when the caller knows better than the reason alone. */
  readonly hint?: string;
}

export function createAnswerError(answer: FailedAnswer, nowMs: number): RegistryError {
  const { doing, side, host, status, operation } = answer;
  const reason = answer.reason ?? toReason(status);
  const quoted = answer.body === undefined ? undefined : quoteRegistryError(answer.body);
  const said = `${side} registry ${host} answered ${formatStatus(status)} to ${operation}`;
  const hint = answer.hint ?? toHint(reason, side);
  const message = `${doing}: ${said}${quoted === undefined ? '' : ` (${quoted})`}${hint}`;
  if (reason !== 'RateLimited') {
    return new RegistryError(message, { reason, side });
  }
  return new RegistryError(message, { reason, side, retryAtMs: parseRetryAfterMs(answer.retryAfter, nowMs) });
}

const REASONS: ReadonlyMap<number, RegistryFailure> = new Map([
  [401, 'Unauthorized'],
  [402, 'QuotaExceeded'],
  [403, 'Unauthorized'],
  [404, 'NotFound'],
  [405, 'Unsupported'],
  [408, 'RegistryUnavailable'],
  [413, 'QuotaExceeded'],
  [415, 'Unsupported'],
  [429, 'RateLimited'],
  [507, 'QuotaExceeded'],
]);

/** What a status means when nothing else is known about the request. */
export function toReason(status: number): RegistryFailure {
  return REASONS.get(status) ?? (status >= 500 ? 'RegistryUnavailable' : 'Unknown');
}

function formatStatus(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? ''}`.trim();
}

/** What a person can do about it; many registries do not tell "missing" from "forbidden". */
function toHint(reason: RegistryFailure, side: RegistrySide): string {
  if (reason === 'Unauthorized' && side === 'source') {
    return '; the image is gone or private, or the credentials do not fit';
  }
  if (reason === 'Unauthorized') {
    return '; the credentials for the backup registry may not do this, or the project does not exist';
  }
  if (reason === 'NotFound' && side === 'backup') {
    return '; the repository may have to be created first';
  }
  return reason === 'QuotaExceeded' ? '; a quota or an upload limit is reached' : '';
}
