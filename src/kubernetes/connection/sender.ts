import type { IncomingMessage } from 'node:http';

import { orAborted, wait } from '../../clock.ts';
import { type ApiError, ControllerError } from '../../errors.ts';
import { createAgents } from './agents.ts';
import { answerError, transportError } from './api-errors.ts';
import type { Deadline } from './deadline.ts';
import { exchange, ExchangeError, readText } from './exchange.ts';
import type { RequestTurns } from './request-turns.ts';
import type { Target } from './target.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** One request, with everything that may be needed to send it more than once. */
export interface Message {
  /** For error messages. */
  readonly what: string;
  readonly method: Method;
  /** With query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly purpose: 'request' | 'watch';
  readonly deadline: Deadline;
  /** The caller's; when it is aborted, its reason is what is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Called right before every attempt; what it throws prevents the attempt. */
  readonly guard?: (() => void) | undefined;
  /** Waits for no turn. */
  readonly isUrgent?: boolean | undefined;
}

export interface Sender {
  /** Head of the first 2xx answer; renews credentials, waits and repeats where that is safe. */
  send(message: Message): Promise<IncomingMessage>;
  /** What to throw for a failure below HTTP. */
  explain(message: Message, cause: unknown): unknown;
  close(): void;
}

const LONGEST_ERROR_BYTES = 64 * 1024;

function isSuccess({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300;
}

/** Seconds only: the API server sends nothing else. */
function parseRetryAfterMs(response: IncomingMessage): number | undefined {
  const text = response.headers['retry-after'] ?? '';
  return /^\d{1,6}$/u.test(text) ? Number(text) * 1000 : undefined;
}

async function readRefusal({ what, deadline }: Message, response: IncomingMessage): Promise<ApiError> {
  return answerError(what, {
    httpStatus: response.statusCode ?? 0,
    text: await readText(response, { signal: deadline.signal, limitBytes: LONGEST_ERROR_BYTES }),
    retryAfterMs: parseRetryAfterMs(response),
  });
}

/** Only when the server said when. A 429 was not processed, so even a POST may go again; after a 5xx nobody knows. */
function repeatAfterMs(method: Method, { status, retryAfterMs }: ApiError): number | undefined {
  const isSafe = status === 429 || (status >= 500 && ['GET', 'PUT', 'DELETE'].includes(method));
  return isSafe ? retryAfterMs : undefined;
}

/**
 * Whether the API server has too much to do, for whatever request: then it says so in plain text, before it looks at the request
 * (k8s.io/apiserver, pkg/server/filters/priority-and-fairness.go). What an admission webhook has against one object comes as a
 * Status.
 */
function isForAll({ statusCode, headers }: IncomingMessage): boolean {
  return statusCode === 429 && !(headers['content-type'] ?? '').startsWith('application/');
}

/** The server may have closed a kept connection after it took the request. */
function mayUseAnotherSocket(method: Method, error: unknown): boolean {
  return error instanceof ExchangeError && error.isStale && method !== 'POST' && method !== 'PATCH';
}

function explain(message: Message, cause: unknown): unknown {
  if (message.signal?.aborted) {
    return message.signal.reason as unknown;
  }
  if (cause instanceof ControllerError) {
    return cause;
  }
  const because = message.deadline.expired ? 'no answer in time' : describeCause(cause);
  return transportError(message.what, { reason: 'Unreachable', because, cause });
}

function describeCause(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

interface SenderOptions {
  readonly attempts: number;
  readonly connectTimeoutMs: number;
  readonly userAgent: string;
  readonly turns: RequestTurns;
}

/** Returns early when there is no time left to do so. */
async function waitToRepeat(message: Message, waitMs: number, turns: RequestTurns): Promise<void> {
  const { signal } = message.deadline;
  await wait(waitMs, signal);
  if (message.isUrgent !== true) {
    await turns.take(signal).catch(() => undefined);
  }
}

export function createSender(target: Target, options: SenderOptions): Sender {
  const agents = createAgents(target);

  const sendOnce = async (message: Message, renew: boolean): Promise<IncomingMessage> => {
    // A plugin that is asked for them may wait for anything.
    const credentials = await orAborted(target.readCredentials({ renew }), message.deadline.signal);
    message.guard?.();
    return exchange({
      ...message,
      headers: { accept: 'application/json', 'user-agent': options.userAgent, ...message.headers },
      server: target.server,
      credentials,
      agent: agents.pick(credentials.tls, message.purpose),
      connectTimeoutMs: options.connectTimeoutMs,
      signal: message.deadline.signal,
    });
  };

  const sendPastStaleSockets = async (message: Message, renew: boolean): Promise<IncomingMessage> => {
    for (let left = options.attempts; ; left--) {
      try {
        return await sendOnce(message, renew);
      } catch (error) {
        if (left <= 1 || !mayUseAnotherSocket(message.method, error)) {
          throw error;
        }
      }
    }
  };

  const takeRefusal = async (message: Message, response: IncomingMessage): Promise<ApiError> => {
    const refusal = await readRefusal(message, response);
    const { retryAfterMs } = refusal;
    if (retryAfterMs !== undefined && isForAll(response) && !message.isUrgent) {
      options.turns.pause(retryAfterMs);
    }
    return refusal;
  };

  const sendUntilAnswered = async (message: Message): Promise<IncomingMessage> => {
    let hasRenewed = false;
    let renew = false;
    for (let left = options.attempts; ; left--) {
      const response = await sendPastStaleSockets(message, renew);
      if (isSuccess(response)) {
        return response;
      }
      const refusal = await takeRefusal(message, response);
      renew = refusal.status === 401 && !hasRenewed;
      hasRenewed ||= renew;
      const waitMs = renew ? 0 : repeatAfterMs(message.method, refusal);
      if (waitMs === undefined || left <= 1) {
        throw refusal;
      }
      await waitToRepeat(message, waitMs, options.turns);
      if (message.deadline.signal.aborted) {
        throw refusal;
      }
    }
  };

  return { send: sendUntilAnswered, explain, close: () => agents.close() };
}
