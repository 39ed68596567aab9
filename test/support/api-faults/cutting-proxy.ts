/**
 * Stands between a client and the real API server and spoils what passes when a test says so.
 *
 * It speaks TLS with a certificate of its own on both sides, over HTTP/1.1 as the controller does. What it cannot show: lost
 * packets, and connections that die without either side noticing; a frozen API server is the nearest to that.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request, type Server } from 'node:https';

import { createSelfSigned } from '../../kubernetes/self-signed.ts';
import { findFreePort } from '../free-port.ts';
import type { KubeConnection } from '../kube-transport.ts';

export interface CuttingProxy {
  /** Of the API server behind it. */
  readonly connection: KubeConnection;
  /** Answers instead of the API server, until the returned function is called. */
  refuse(answer: { readonly status: number; readonly retryAfterSeconds: number }): () => void;
  /** From every open watch passes half of the next piece, and no more. */
  cutWatchesInEvent(): void;
  /** Closes all watches at once. */
  cutWatches(): void;
  /** Writes a line that is not JSON into every open watch. */
  sendGarbage(): void;
  /** Nobody listens any more. */
  goDown(): Promise<void>;
  comeBack(): Promise<void>;
  openWatches(): number;
  /** How often what was asked for most, by GET, has been refused since `refuse`. */
  mostRefusals(): number;
  close(): Promise<void>;
}

interface OpenWatch {
  readonly outgoing: ServerResponse;
  isCutNext: boolean;
}

const GARBAGE = '{"type":"MODIFIED","object":{"metadata":}}\n';

class Proxy implements CuttingProxy {
  readonly connection: KubeConnection;
  readonly #target: KubeConnection;
  readonly #port: number;
  readonly #server: Server;
  readonly #agent: Agent;
  readonly #watches = new Set<OpenWatch>();
  readonly #refusals = new Map<string, number>();
  #refusal: { readonly status: number; readonly retryAfterSeconds: number } | undefined;

  constructor(target: KubeConnection, port: number) {
    const certificate = createSelfSigned('cutting-proxy');
    this.#target = target;
    this.#port = port;
    this.#agent = new Agent({ keepAlive: true, ca: target.ca });
    this.connection = { ...target, server: `https://127.0.0.1:${port}`, ca: certificate.cert };
    this.#server = createServer(certificate, (incoming, outgoing) => this.#answer(incoming, outgoing));
    // Longer than its clients keep a connection, as the API server does.
    this.#server.keepAliveTimeout = 120_000;
  }

  refuse(answer: { readonly status: number; readonly retryAfterSeconds: number }): () => void {
    this.#refusals.clear();
    this.#refusal = answer;
    return () => {
      this.#refusal = undefined;
    };
  }

  cutWatchesInEvent(): void {
    for (const watch of this.#watches) {
      watch.isCutNext = true;
    }
  }

  cutWatches(): void {
    for (const { outgoing } of this.#watches) {
      outgoing.destroy();
    }
  }

  sendGarbage(): void {
    for (const { outgoing } of this.#watches) {
      outgoing.write(GARBAGE);
    }
  }

  async goDown(): Promise<void> {
    await this.close();
  }

  async comeBack(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', resolve);
    });
  }

  mostRefusals(): number {
    return Math.max(0, ...this.#refusals.values());
  }

  openWatches(): number {
    return this.#watches.size;
  }

  async close(): Promise<void> {
    this.cutWatches();
    const closed = new Promise((resolve) => {
      this.#server.close(resolve);
    });
    this.#server.closeAllConnections();
    await closed;
  }

  #answer(incoming: IncomingMessage, outgoing: ServerResponse): void {
    outgoing.on('error', () => undefined);
    if (!this.#refusal) {
      this.#passOn(incoming, outgoing);
      return;
    }
    const { status, retryAfterSeconds } = this.#refusal;
    const path = incoming.url?.replace(/\?.*/, '') ?? '';
    if (incoming.method === 'GET') {
      this.#refusals.set(path, (this.#refusals.get(path) ?? 0) + 1);
    }
    incoming.resume();
    outgoing.writeHead(status, {
      'content-type': 'application/json',
      'retry-after': String(retryAfterSeconds),
    });
    outgoing.end(
      JSON.stringify({ kind: 'Status', code: status, reason: 'TooManyRequests', message: 'wait' }),
    );
  }

  #passOn(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method = 'GET', url = '/', headers } = incoming;
    const forwarded = request(
      new URL(url, this.#target.server),
      { method, headers, agent: this.#agent },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        // A watch has something to say only when there is an event; the client waits for the head.
        outgoing.flushHeaders();
        answer.on('error', () => outgoing.destroy());
        if (/[?&]watch=true/.test(url)) {
          this.#follow(answer, outgoing);
        } else {
          answer.pipe(outgoing);
        }
      },
    );
    forwarded.on('error', () => outgoing.destroy());
    outgoing.on('close', () => forwarded.destroy());
    incoming.pipe(forwarded);
  }

  #follow(answer: IncomingMessage, outgoing: ServerResponse): void {
    const watch: OpenWatch = { outgoing, isCutNext: false };
    this.#watches.add(watch);
    outgoing.on('close', () => this.#watches.delete(watch));
    answer.on('data', (chunk: Buffer) => {
      if (!watch.isCutNext) {
        outgoing.write(chunk);
        return;
      }
      outgoing.write(chunk.subarray(0, chunk.length / 2), () => outgoing.destroy());
    });
    answer.on('end', () => outgoing.end());
  }
}

export async function startCuttingProxy(target: KubeConnection): Promise<CuttingProxy> {
  const proxy = new Proxy(target, await findFreePort());
  await proxy.comeBack();
  return proxy;
}
