/**
 * A registry that misbehaves when a test says so: stands in front of a real one and passes everything on, but for the
 * requests that a fault is about.
 *
 * What it does not prove:
 * - Nothing here was recorded from a registry: answers such as Harbor's or ECR's are what their documentation and
 *   their users' reports show. Another version, or another load balancer in front of it, may answer in other words.
 * - Everything is plain HTTP/1.1 on loopback: no TLS, no HTTP/2, no lost packets, no name that resolves wrongly. A cut is a
 *   closed connection that both sides notice at once, never a silent one.
 * - A held request has been read to the end of its headers; a network that swallows the very first packet looks different.
 */
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, pipeline, Transform, type TransformCallback } from 'node:stream';

import type { RegistryConnection } from './registry.ts';

/** A request as it arrived. */
export interface FaultyRequest {
  readonly method: string;
  /** Path and query: `/v2/app/manifests/1.0`. */
  readonly path: string;
  /** User-Agent header: tells the copy engine from the controller itself and from the nodes. */
  readonly client: string;
  readonly authorization: string | undefined;
  readonly atMs: number;
  /** True when a fault was in force for it. */
  readonly isFaulty: boolean;
  /** Of the answer that was sent; undefined while, or because, there is none. */
  readonly status: number | undefined;
}

export type Misbehaviour =
  /** Instead of the real registry. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string | Buffer;
    }
  /** Says that it goes on in another protocol, and then nothing. */
  | { readonly kind: 'upgrade' }
  /** No answer until the fault ends; then the request is passed on, if somebody still waits. */
  | { readonly kind: 'hold' }
  /** Closes the connection after so many bytes of a body: of the request, or of the answer. */
  | { readonly kind: 'cut'; readonly body: 'request' | 'answer'; readonly afterBytes: number }
  /** Changes one byte of a body. */
  | { readonly kind: 'corrupt'; readonly body: 'request' | 'answer'; readonly atByte: number }
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number }
  /** Passes the request on after a while, like a registry that is far away. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Adds to the headers of an answer. */
  | { readonly kind: 'headers'; readonly headers: Readonly<Record<string, string>> }
  /** Passes the request on, and loses the answer. */
  | { readonly kind: 'lose answer' }
  /** Asks the real registry for another path: one tag, another manifest. */
  | { readonly kind: 'rewrite'; readonly path: string };

export interface Fault {
  readonly when: (request: FaultyRequest) => boolean;
  readonly does: Misbehaviour;
  /** It ends by itself after so many requests. */
  readonly times?: number;
}

export interface FaultyRegistry extends RegistryConnection {
  /** All so far, oldest first. */
  readonly requests: readonly FaultyRequest[];
  /** Of the faults in force, the first that fits a request counts. Returns what ends this one. */
  misbehave(fault: Fault): () => void;
  /** Requests that are held back and still waited for. */
  waiting(): number;
  close(): Promise<void>;
}

const MOST_HELD_BYTES = 64 * 1024 * 1024;

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
interface ActiveFault extends Fault {
  met: number;
  readonly held: Set<() => void>;
}

/** Where the pieces of one exchange are, for what a fault does with them. */
interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly record: Mutable<FaultyRequest>;
  readonly targetUrl: string;
}

export async function startFaultyRegistry(target: RegistryConnection): Promise<FaultyRegistry> {
  const faults = new Set<ActiveFault>();
  const requests: Mutable<FaultyRequest>[] = [];
  const server = createServer((incoming, outgoing) => {
    const record = recordOf(incoming);
    requests.push(record);
    const fault = [...faults].find(({ when, met, times = Infinity }) => met < times && when(record));
    const exchange = { incoming, outgoing, record, targetUrl: target.url };
    outgoing.on('error', () => undefined);
    if (!fault) {
      passOn(exchange);
      return;
    }
    fault.met += 1;
    record.isFaulty = true;
    misbehave(exchange, fault);
  });
  const host = await listen(server);
  return {
    host,
    url: `http://${host}`,
    logFile: target.logFile,
    ...(target.credentials && { credentials: target.credentials }),
    requests,
    misbehave(fault) {
      const active = { ...fault, met: 0, held: new Set<() => void>() };
      faults.add(active);
      return () => {
        faults.delete(active);
        for (const release of active.held) {
          release();
        }
        active.held.clear();
      };
    },
    waiting: () => [...faults].reduce((sum, { held }) => sum + held.size, 0),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function recordOf({ method = 'GET', url = '/', headers }: IncomingMessage): Mutable<FaultyRequest> {
  return {
    method,
    path: url,
    client: headers['user-agent'] ?? '',
    authorization: headers.authorization,
    atMs: Date.now(),
    isFaulty: false,
    status: undefined,
  };
}

function misbehave(exchange: Exchange, { does, held }: ActiveFault): void {
  const { incoming, outgoing, record } = exchange;
  switch (does.kind) {
    case 'answer': {
      // Read to its end, so that the client gets to see the answer.
      incoming.resume();
      record.status = does.status;
      outgoing.writeHead(does.status, does.headers);
      outgoing.end(record.method === 'HEAD' ? undefined : does.body);
      return;
    }
    case 'upgrade': {
      record.status = 101;
      outgoing.socket?.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: tea\r\nConnection: Upgrade\r\n\r\n',
      );
      return;
    }
    case 'hold': {
      // Only who reads the body notices that the client has given up.
      const body = incoming.pipe(new PassThrough({ highWaterMark: MOST_HELD_BYTES }));
      const release = (): void => passOn(exchange, { body });
      held.add(release);
      outgoing.on('close', () => held.delete(release));
      return;
    }
    case 'cut': {
      passOn(exchange, { [does.body]: cutAfter(does.afterBytes) });
      return;
    }
    case 'corrupt': {
      passOn(exchange, { [does.body]: changeByte(does.atByte) });
      return;
    }
    case 'throttle': {
      passOn(exchange, { request: slowDown(does.bytesPerSecond), answer: slowDown(does.bytesPerSecond) });
      return;
    }
    case 'delay': {
      setTimeout(() => passOn(exchange), does.ms);
      return;
    }
    case 'headers': {
      passOn(exchange, { headers: does.headers });
      return;
    }
    case 'lose answer': {
      passOn(exchange, { answer: 'lost' });
      return;
    }
    case 'rewrite': {
      passOn(exchange, { path: does.path });
      return;
    }
  }
}

interface Detour {
  /** Of the request, when it is being read already. */
  readonly body?: PassThrough;
  readonly path?: string;
  /** More of them, for the answer. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly request?: Transform;
  readonly answer?: Transform | 'lost';
}

function passOn({ incoming, outgoing, record, targetUrl }: Exchange, detour: Detour = {}): void {
  const { method, headers } = incoming;
  const { path = record.path, request: onTheWay = new PassThrough(), answer: onTheWayBack } = detour;
  const forwarded = request(targetUrl + path, { method: method ?? 'GET', headers }, (answer) => {
    if (onTheWayBack === 'lost' || outgoing.destroyed) {
      answer.resume().on('end', () => outgoing.destroy());
      return;
    }
    record.status = answer.statusCode;
    outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...detour.headers });
    pipeline(answer, onTheWayBack ?? new PassThrough(), outgoing, () => undefined);
  });
  forwarded.on('error', () => outgoing.destroy());
  pipeline(detour.body ?? incoming, onTheWay, forwarded, (error) => {
    if (error) {
      outgoing.destroy();
    }
  });
}

function cutAfter(bytes: number): Transform {
  let left = bytes;
  return new Transform({
    transform(chunk: Buffer, _, callback) {
      const passed = chunk.subarray(0, left);
      left -= passed.length;
      this.push(passed);
      if (passed.length === chunk.length) {
        callback();
        return;
      }
      // What came before the cut is to arrive.
      setImmediate(() => callback(new Error('cut')));
    },
  });
}

function changeByte(position: number): Transform {
  let offset = 0;
  return transform((chunk, callback) => {
    const index = position - offset;
    offset += chunk.length;
    const changed = Buffer.from(chunk);
    if (index >= 0 && index < chunk.length) {
      changed[index] = (changed[index] ?? 0) ^ 1;
    }
    callback(null, changed);
  });
}

function slowDown(bytesPerSecond: number): Transform {
  return transform((chunk, callback) => {
    setTimeout(() => callback(null, chunk), (chunk.length / bytesPerSecond) * 1_000);
  });
}

function transform(change: (chunk: Buffer, callback: TransformCallback) => void): Transform {
  return new Transform({ transform: (chunk: Buffer, _, callback) => change(chunk, callback) });
}
