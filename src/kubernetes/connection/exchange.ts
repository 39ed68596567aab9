import { type Agent, type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Socket } from 'node:net';
import { urlToHttpOptions } from 'node:url';

import { orAborted } from '../../clock.ts';
import { TCP_KEEP_ALIVE_MS } from './agents.ts';
import type { Credentials } from './target.ts';

const SWITCHING_PROTOCOLS = 101;

/** No answer. Its cause tells why; the message is fit for people. */
export class ExchangeError extends Error {
  override readonly name = 'ExchangeError';
  /** The server closed a kept connection just when we used it: another one will do. */
  readonly isStale: boolean;

  constructor(message: string, options: { readonly isStale: boolean; readonly cause: unknown }) {
    super(message, { cause: options.cause });
    this.isStale = options.isStale;
  }
}

export interface ExchangeOptions {
  readonly server: URL;
  readonly method: string;
  /** With query, below the path of the server. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly credentials: Credentials;
  readonly agent: Agent;
  readonly connectTimeoutMs: number;
  /** Ends the request, and the answer that is still coming in. */
  readonly signal: AbortSignal;
}

function errorCode(error: Error): string {
  return 'code' in error ? String(error.code) : '';
}

function toRequestOptions(options: ExchangeOptions): RequestOptions {
  const { server, method, path, headers, body, credentials, agent, signal } = options;
  const { protocol, hostname, port } = urlToHttpOptions(server);
  return {
    protocol,
    hostname,
    port,
    method,
    path: server.pathname.replace(/\/$/u, '') + path,
    headers: {
      ...headers,
      ...credentials.headers,
      ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    },
    ...(credentials.basicAuth === undefined ? {} : { auth: credentials.basicAuth }),
    agent,
    signal,
  };
}

/** A host that takes the connection but never completes it must not cost the whole deadline. */
function limitConnecting(
  socket: Socket,
  limits: { readonly event: string; readonly timeoutMs: number },
): void {
  const { event, timeoutMs } = limits;
  socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
  if (!socket.connecting) {
    return;
  }
  const timer = setTimeout(() => {
    socket.destroy(new Error(`not connected within ${timeoutMs / 1000} s`));
  }, timeoutMs).unref();
  socket.once(event, () => clearTimeout(timer));
  socket.once('close', () => clearTimeout(timer));
}

/**
 * Sends one request and returns as soon as the head of the answer is there; settles by the signal in any case.
 *
 * @throws {ExchangeError}
 */
export function exchange(options: ExchangeOptions): Promise<IncomingMessage> {
  const isPlain = options.server.protocol === 'http:';
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    const request = (isPlain ? requestHttp : requestHttps)(toRequestOptions(options));
    request.on('socket', (socket) => {
      const event = isPlain ? 'connect' : 'secureConnect';
      limitConnecting(socket, { event, timeoutMs: options.connectTimeoutMs });
    });
    request.on('response', (response) => {
      if (response.statusCode === SWITCHING_PROTOCOLS) {
        request.destroy();
        reject(switchedProtocols());
        return;
      }
      resolve(response);
    });
    // Without a listener, Node would close the connection and tell nobody.
    request.on('upgrade', (_, socket) => {
      socket.destroy();
      reject(switchedProtocols());
    });
    request.on('error', (cause) => {
      const isStale = request.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(errorCode(cause));
      reject(new ExchangeError(cause.message || errorCode(cause), { isStale, cause }));
    });
    request.end(options.body);
  });
  return orAborted(answer, options.signal);
}

function switchedProtocols(): ExchangeError {
  return new ExchangeError('answered 101 Switching Protocols', { isStale: false, cause: undefined });
}

/** The bytes of an answer as they come; leaving early, and the signal, close the connection. */
export async function* readChunks(
  response: IncomingMessage,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void> {
  const chunks = response[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  try {
    for (;;) {
      const next = await orAborted(chunks.next(), signal);
      if (next.done) {
        return;
      }
      yield next.value;
    }
  } finally {
    response.destroy();
  }
}

/** The whole body as text, or as much of it as the limit allows: then it is longer than that. */
export async function readText(
  response: IncomingMessage,
  { signal, limitBytes }: { readonly signal: AbortSignal; readonly limitBytes: number },
): Promise<string> {
  const read: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of readChunks(response, signal)) {
    read.push(chunk);
    bytes += chunk.length;
    if (bytes > limitBytes) {
      break;
    }
  }
  return Buffer.concat(read).toString('utf8');
}
