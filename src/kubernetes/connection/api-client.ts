import type { IncomingMessage } from 'node:http';

import type { Clock } from '../../clock.ts';
import { describeRequest, transportError } from './api-errors.ts';
import { type Deadline, createDeadline } from './deadline.ts';
import { readChunks, readText } from './exchange.ts';
import { createJsonLines } from './json-lines.ts';
import { createRequestTurns, type RequestRate } from './request-turns.ts';
import { type Message, type Method, createSender } from './sender.ts';
import type { Target } from './target.ts';

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface ApiRequest {
  readonly method: Method;
  /** From the root of the API, with every part already encoded. */
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  /** Of the body: `application/json` unless said otherwise. */
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  /** From the moment of sending, over all attempts. */
  readonly timeoutMs?: number;
  /** Waits neither for a rate nor for the end of a pause: a lease must be renewed whatever else goes on. */
  readonly isUrgent?: boolean;
  /** Of the answer. A longer one fails as `TooLong`, and no more of it is read. */
  readonly mostBytes?: number;
  /** Called right before every attempt; the `ControllerError` it throws prevents the attempt. */
  readonly guard?: () => void;
}

export interface WatchRequest<T> {
  readonly path: string;
  readonly query?: Query;
  readonly signal?: AbortSignal | undefined;
  /** Takes what is needed from a document; must not throw. */
  readonly read: (document: unknown) => T;
}

/** The way to one API server, with all sockets, deadlines and rates that go with it. */
export interface Connection {
  /** For messages. */
  readonly server: string;
  /** Of the context or service account. */
  readonly namespace: string | undefined;
  /**
   * The answer, parsed; nothing is known about its shape but what the caller claims.
   *
   * @throws {ApiError} for any status but 2xx, and with status 0 when there was no usable answer.
   */
  request<T = unknown>(options: ApiRequest): Promise<T>;
  /**
   * What was read of the documents of a watch, one by one, until the server ends it.
   *
   * @throws {ApiError} with the status of a refusal, or with status 0 and a `TransportReason`.
   */
  watch<T>(options: WatchRequest<T>): AsyncGenerator<T, void>;
  /** Cuts what is under way. */
  close(): void;
}

export interface ClientLimits {
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
  /** Longest silence of a watch: bookmarks come about once a minute. */
  readonly inactivityMs: number;
  readonly attempts: number;
  /** Undefined: as fast as the API server answers. */
  readonly rate?: RequestRate | undefined;
}

const CLIENT_LIMITS: ClientLimits = {
  timeoutMs: 30_000,
  connectTimeoutMs: 5_000,
  inactivityMs: 150_000,
  attempts: 10,
};

function withQuery(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) {
      parameters.set(name, String(value));
    }
  }
  return parameters.size === 0 ? path : `${path}?${parameters.toString()}`;
}

/** Far above what any object has that fits into etcd: whoever sends more is not the API server. */
const LONGEST_ANSWER_BYTES = 32 * 1024 * 1024;

async function readAnswer(
  { what, deadline }: Message,
  response: IncomingMessage,
  mostBytes = LONGEST_ANSWER_BYTES,
): Promise<unknown> {
  const text = await readText(response, { signal: deadline.signal, limitBytes: mostBytes });
  if (Buffer.byteLength(text) > mostBytes) {
    throw transportError(what, { reason: 'TooLong', because: `the answer has more than ${mostBytes} bytes` });
  }
  return parseAnswer(what, text);
}

function parseAnswer(what: string, text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch (cause) {
    throw transportError(what, { reason: 'Undecodable', because: 'the answer is not JSON', cause });
  }
}

/** Documents of an open stream; a failure of the stream or of a document is thrown with its reason. */
async function* readDocuments<T>(
  response: IncomingMessage,
  { what, deadline }: Message,
  read: WatchRequest<T>['read'],
): AsyncGenerator<T, void> {
  const lines = createJsonLines(read);
  try {
    for await (const chunk of readChunks(response, deadline.signal)) {
      deadline.restart();
      yield* lines.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof SyntaxError) {
      throw transportError(what, {
        reason: 'Undecodable',
        because: 'the watch sent a line that is not JSON',
        cause,
      });
    }
    throw deadline.expired
      ? transportError(what, {
          reason: 'WatchSilent',
          because: 'the watch brought nothing for too long',
          cause,
        })
      : transportError(what, { reason: 'WatchCut', because: 'the watch was cut off', cause });
  }
  if (lines.hasRest()) {
    throw transportError(what, { reason: 'WatchCut', because: 'the watch ended in the middle of a line' });
  }
}

function requestMessage(request: ApiRequest, deadline: Deadline): Message {
  const { method, path, query, body, contentType = 'application/json', signal, guard, isUrgent } = request;
  return {
    what: describeRequest(method, path),
    method,
    path: withQuery(path, query),
    headers: body === undefined ? {} : { 'content-type': contentType },
    body: body === undefined ? undefined : JSON.stringify(body),
    purpose: 'request',
    deadline,
    signal,
    guard,
    isUrgent,
  };
}

function watchMessage({ path, query, signal }: WatchRequest<unknown>, deadline: Deadline): Message {
  return {
    what: describeRequest('WATCH', path),
    method: 'GET',
    path: withQuery(path, { ...query, watch: true }),
    headers: {},
    purpose: 'watch',
    deadline,
    signal,
  };
}

/** Speaks to one API server; `createConnection` finds it first. */
export function connectTo(
  target: Target,
  options: { readonly userAgent: string; readonly clock: Clock; readonly limits?: Partial<ClientLimits> },
): Connection {
  const limits = { ...CLIENT_LIMITS, ...options.limits };
  const turns = createRequestTurns(limits.rate, options.clock);
  const sender = createSender(target, { ...limits, userAgent: options.userAgent, turns });

  return {
    server: target.server.href,
    namespace: target.namespace,
    async request<T>(request: ApiRequest): Promise<T> {
      if (!request.isUrgent) {
        await turns.take(request.signal);
      }
      const deadline = createDeadline(request.timeoutMs ?? limits.timeoutMs, request.signal);
      const message = requestMessage(request, deadline);
      try {
        const response = await sender.send(message);
        return (await readAnswer(message, response, request.mostBytes)) as T;
      } catch (error) {
        throw sender.explain(message, error);
      } finally {
        deadline.clear();
      }
    },
    async *watch<T>(request: WatchRequest<T>): AsyncGenerator<T, void> {
      await turns.take(request.signal);
      const deadline = createDeadline(limits.timeoutMs, request.signal);
      const message = watchMessage(request, deadline);
      let response: IncomingMessage | undefined;
      try {
        response = await sender.send(message);
        deadline.restart(limits.inactivityMs);
        yield* readDocuments(response, message, request.read);
      } catch (error) {
        throw sender.explain(message, error);
      } finally {
        deadline.clear();
        response?.destroy();
      }
    },
    close: () => sender.close(),
  };
}
