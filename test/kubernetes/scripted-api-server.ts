import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

import { type ClientLimits, type Connection, connectTo } from '../../src/kubernetes/connection/api-client.ts';
import type { Credentials } from '../../src/kubernetes/connection/target.ts';
import { systemClock } from '../../src/clock.ts';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

export type Answer = (request: SeenRequest, response: ServerResponse) => void;

/** Says what a test tells it to say: it knows no rule of the real API server, which others test against. */
export interface ScriptedApiServer {
  readonly url: URL;
  readonly requests: readonly SeenRequest[];
  /** Connections that were ever opened. */
  readonly sockets: readonly Socket[];
  answer: Answer;
  close(): Promise<void>;
}

function parseBody(text: string): unknown {
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}

export async function startApiServer(
  answer: Answer,
  tls?: { readonly cert: string; readonly key: string; readonly port?: number },
): Promise<ScriptedApiServer> {
  const requests: SeenRequest[] = [];
  const sockets: Socket[] = [];
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://host');
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const seen: SeenRequest = {
        method: request.method ?? '',
        path: pathname,
        query: Object.fromEntries(searchParams),
        headers: request.headers,
        body: parseBody(Buffer.concat(chunks).toString()),
      };
      requests.push(seen);
      started.answer(seen, response);
    });
  };
  const server = tls ? createTlsServer(tls, onRequest) : createServer(onRequest);
  server.on('connection', (socket: Socket) => sockets.push(socket));
  await new Promise<void>((resolve) => {
    server.listen(tls?.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const started: ScriptedApiServer = {
    url: new URL(`${tls ? 'https' : 'http'}://127.0.0.1:${port}`),
    requests,
    sockets,
    answer,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return started;
}

export function answerJson(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function answerStatus(
  response: ServerResponse,
  code: number,
  details: { readonly reason?: string; readonly message?: string; readonly retryAfter?: number } = {},
): void {
  const { reason = 'Tested', message = 'as the test wants', retryAfter } = details;
  response
    .writeHead(code, {
      'content-type': 'application/json',
      ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
    })
    .end(JSON.stringify({ kind: 'Status', code, reason, message }));
}

/** As an API server refuses whatever it is asked for, before it looks at that. */
export function answerBusy(response: ServerResponse, retryAfterSeconds: number): void {
  response
    .writeHead(429, { 'content-type': 'text/plain; charset=utf-8', 'retry-after': String(retryAfterSeconds) })
    .end('Too many requests, please try again later.\n');
}

/** A connection to a scripted server; `renewals` counts how often credentials were asked for anew. */
export function connectForTest(
  url: URL,
  options: {
    readonly limits?: Partial<ClientLimits>;
    readonly readCredentials?: (renew: boolean) => Credentials | Promise<Credentials>;
  } = {},
): Connection {
  return connectTo(
    {
      server: url,
      namespace: 'here',
      readCredentials: async ({ renew }) =>
        options.readCredentials?.(renew) ?? { headers: { authorization: 'Bearer t' }, tls: {} },
    },
    { userAgent: 'test/1', clock: systemClock, ...(options.limits ? { limits: options.limits } : {}) },
  );
}
