import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';

import { onTestFinished } from 'vitest';

import { LOCALHOST_CERTIFICATE, LOCALHOST_KEY } from './localhost-certificate.ts';

interface Received {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface TestServer {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  readonly origin: string;
  /** Every request so far, oldest first. */
  readonly received: readonly Received[];
  /** `METHOD path`, without the query. */
  lines(): readonly string[];
}

/** Undefined: no answer at all. */
export type Handler = (request: Received) => Answer | undefined;

/** A server on a free port of this machine, closed with the test. It knows nothing of registries but what `handle` says. */
export async function startServer(handle: Handler, { tls = false } = {}): Promise<TestServer> {
  const received: Received[] = [];
  const listener: http.RequestListener = (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming;
      const request = { method, path: url, headers, body: Buffer.concat(chunks).toString() };
      received.push(request);
      const answer = handle(request);
      if (answer) {
        outgoing.writeHead(answer.status, answer.headers);
        outgoing.end(method === 'HEAD' ? undefined : answer.body);
      }
    });
  };
  const server = tls
    ? https.createServer({ cert: LOCALHOST_CERTIFICATE, key: LOCALHOST_KEY }, listener)
    : http.createServer(listener);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    origin: `${tls ? 'https' : 'http'}://${host}`,
    received,
    lines: () => received.map(({ method, path }) => `${method} ${path.split('?')[0]}`),
  };
}
