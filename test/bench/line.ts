import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Transform } from 'node:stream';

import type { RegistryConnection } from '../support/registry.ts';

/** A line to a registry that is only so wide. */
export interface Line {
  /** How image names begin. */
  readonly host: string;
  close(): Promise<void>;
}

/** As large as a piece is that goes through at once. */
const PIECE_BYTES = 64 * 1024;

/**
 * Stands in front of a real registry and lets bytes through at a fixed rate, each way and whatever the number of connections:
 * like a network without delay and loss, on which all that come at the same time get their share.
 */
export async function startLine(target: RegistryConnection, bytesPerSecond: number): Promise<Line> {
  const sockets = new Set<Socket>();
  const [there, back] = [createGate(bytesPerSecond), createGate(bytesPerSecond)];
  const { hostname, port } = new URL(target.url);
  const server = createServer((incoming) => {
    const outgoing = connect({ host: hostname, port: Number(port) });
    for (const socket of [incoming, outgoing]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    // What the registry has sent before it closes a connection is still on its way.
    incoming.pipe(there()).pipe(outgoing);
    outgoing.pipe(back()).pipe(incoming);
    incoming.on('close', () => outgoing.destroy());
    incoming.on('error', () => outgoing.destroy());
    outgoing.on('error', () => incoming.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      for (const socket of sockets) {
        socket.destroy();
      }
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** Makes streams that together let so many bytes through. */
function createGate(bytesPerSecond: number): () => Transform {
  let freeAtMs = 0;
  return () =>
    new Transform({
      highWaterMark: PIECE_BYTES,
      transform(chunk: Buffer, _, callback) {
        const nowMs = performance.now();
        freeAtMs = Math.max(freeAtMs, nowMs) + (chunk.length / bytesPerSecond) * 1_000;
        setTimeout(() => callback(null, chunk), freeAtMs - nowMs);
      },
    });
}
