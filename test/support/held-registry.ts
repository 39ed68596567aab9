import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { RegistryConnection } from './registry.ts';

/** A way to a registry on which layers do not come through until they are let. */
export interface HeldRegistry {
  /** How image names begin. */
  readonly host: string;
  /** Layers that somebody is waiting for. */
  waiting(): number;
  /** Lets everything through from now on. */
  release(): void;
  close(): Promise<void>;
}

/**
 * Stands in front of a real registry and passes everything on, but holds back the answers to `GET /blobs/`, so that a
 * copy is under way for as long as a test needs. It proves nothing about slow networks: no byte of a layer arrives.
 */
export async function startHeldRegistry(target: RegistryConnection): Promise<HeldRegistry> {
  const held = new Set<() => void>();
  let isReleased = false;
  const server = createServer((incoming, outgoing) => {
    const pass = (): void => {
      const { method, url, headers } = incoming;
      const forwarded = request(
        `${target.url}${url ?? '/'}`,
        { method: method ?? 'GET', headers },
        (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(outgoing);
        },
      );
      forwarded.on('error', () => outgoing.destroy());
      incoming.pipe(forwarded);
    };
    if (isReleased || incoming.method !== 'GET' || !incoming.url?.includes('/blobs/')) {
      pass();
      return;
    }
    held.add(pass);
    outgoing.on('close', () => held.delete(pass));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    waiting: () => held.size,
    release() {
      isReleased = true;
      for (const pass of held) {
        pass();
      }
      held.clear();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
