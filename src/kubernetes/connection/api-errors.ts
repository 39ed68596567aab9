import { ApiError } from '../../errors.ts';
import { asArray, asObject, asText } from '../decode/json.ts';

/** Reasons of an `ApiError` with status 0, that is, without an answer that could be used. */
export type TransportReason =
  /** No connection, no credentials for it, or no answer in time. */
  | 'Unreachable'
  /** A watch that had begun was cut off. */
  | 'WatchCut'
  /** A watch that had begun brought nothing for too long. */
  | 'WatchSilent'
  /** A watch did not say where its initial events end. */
  | 'NoInitialEvents'
  /** An answer that is not what the API promises. */
  | 'Undecodable'
  /** An answer of more bytes than were asked for. */
  | 'TooLong';

/** What a `Status` of the API server says beyond its message; the cause of an `ApiError`. */
export interface StatusDetails {
  readonly message: string;
  readonly causes: readonly { readonly field: string; readonly message: string }[];
}

const LONGEST_TEXT = 1_000;

/** Whatever others wrote, on one line and of bounded length, for logs and events. */
export function toPlainText(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  const plain = text.replaceAll(/[\u0000-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]+/gu, ' ').trim();
  return plain.length > LONGEST_TEXT ? `${plain.slice(0, LONGEST_TEXT)}…` : plain;
}

const API_PATH = /^\/(?:api\/[^/]+|apis\/[^/]+\/[^/]+)\/(?:namespaces\/([^/]+)\/)?([^/]+)(?:\/([^/]+))?/u;

/** `GET deployments shop/web` of a method and the path of an API request. */
export function describeRequest(method: string, path: string): string {
  const [, namespace, resource, name] = API_PATH.exec(path) ?? [];
  const object = [namespace, name].filter((part) => part !== undefined).join('/');
  return toPlainText([method, resource ?? path, object].filter((part) => part !== '').join(' '));
}

export function transportError(
  what: string,
  options: { readonly reason: TransportReason; readonly because: string; readonly cause?: unknown },
): ApiError {
  const { reason, because, cause } = options;
  return new ApiError(`${what}: ${toPlainText(because)}`, { status: 0, reason, cause });
}

/** Reads a `Status` object, as answers and `ERROR` events of a watch carry it. */
export function statusError(
  what: string,
  options: {
    readonly status: unknown;
    readonly httpStatus?: number;
    readonly retryAfterMs?: number | undefined;
  },
): ApiError {
  const body = asObject(options.status);
  const details = asObject(body['details']);
  const code = options.httpStatus ?? (typeof body['code'] === 'number' ? body['code'] : 500);
  const reason = toPlainText(asText(body['reason']) ?? '').replaceAll(/\W/gu, '') || `Http${code}`;
  const message = asText(body['message']) ?? 'no explanation';
  const cause: StatusDetails = {
    message: toPlainText(message),
    causes: asArray(details['causes']).map((entry) => ({
      field: asText(asObject(entry)['field']) ?? '',
      message: toPlainText(asText(asObject(entry)['message']) ?? ''),
    })),
  };
  return new ApiError(`${what}: ${code} ${reason}: ${toPlainText(message)}`, {
    status: code,
    reason,
    cause,
    ...(options.retryAfterMs === undefined ? {} : { retryAfterMs: options.retryAfterMs }),
  });
}

/** The error answer of a request: a `Status`, or whatever a proxy in between had to say. */
export function answerError(
  what: string,
  answer: { readonly httpStatus: number; readonly text: string; readonly retryAfterMs: number | undefined },
): ApiError {
  let status: unknown;
  try {
    status = JSON.parse(answer.text);
  } catch {
    status = { message: answer.text.slice(0, LONGEST_TEXT) };
  }
  return statusError(what, { status, httpStatus: answer.httpStatus, retryAfterMs: answer.retryAfterMs });
}
