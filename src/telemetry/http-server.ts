import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { UsageError } from '../errors.ts';

export interface BindAddress {
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  readonly port: number;
}

/**
 * Reads `:8080`, `127.0.0.1:8080` or `[::1]:8080`; undefined for `0`, which turns the server off, as every
 * controller manager has it.
 *
 * @throws {UsageError}
 */
export function parseBindAddress(flag: string, text: string): BindAddress | undefined {
  if (text === '0') {
    return undefined;
  }
  const [, host, portText] = /^([^:]*|\[[0-9a-fA-F:]+\]):(\d{1,5})$/.exec(text) ?? [];
  if (host === undefined || Number(portText) > 65_535) {
    throw new UsageError(`${flag} must be host:port, :port, or 0 for no server`);
  }
  return { host: host.replaceAll(/[[\]]/g, '') || undefined, port: Number(portText) };
}

/** Answer of a path: status and text. */
export interface Answer {
  readonly status: number;
  readonly contentType?: string;
  readonly body: string;
}

export type Pages = Readonly<Record<string, () => Answer | Promise<Answer>>>;

async function answer(pages: Pages, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  const { status, contentType, body } = (await page?.()) ?? { status: 404, body: 'not found\n' };
  response.writeHead(status, {
    'content-type': contentType ?? 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

export interface RunningServer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves a few read-only pages.
 *
 * @throws {UsageError} when the address is in use or not of this machine.
 */
export async function startHttpServer(address: BindAddress, pages: Pages): Promise<RunningServer> {
  const server: Server = createServer((request, response) => {
    answer(pages, request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  });
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    const where = `${address.host ?? ''}:${address.port}`;
    server.once('error', (cause) => {
      reject(
        new UsageError(`cannot listen on ${where}: ${cause.message}; choose another bind address`, { cause }),
      );
    });
    server.listen(address.port, address.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${address.host ?? '127.0.0.1'}:${port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** Named checks; undefined is healthy, a text says what is wrong. */
export type HealthChecks = Readonly<Record<string, () => string | undefined>>;

/** Says which check failed, not why: the page is public, the log is not. */
export function answerHealth(checks: HealthChecks): Answer {
  const results = Object.entries(checks).map(([name, check]) => ({ name, isHealthy: check() === undefined }));
  const body = results.map(
    ({ name, isHealthy }) => `${isHealthy ? '[+]' : '[-]'}${name} ${isHealthy ? 'ok' : 'failed'}\n`,
  );
  return { status: results.every(({ isHealthy }) => isHealthy) ? 200 : 503, body: body.join('') };
}
