import { Agent, createServer, request } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { RegistryConnection } from '../support/registry.ts';

/** A longer way to a registry. */
export interface DelayedRegistry {
  /** How image names begin. */
  readonly host: string;
  close(): Promise<void>;
}

/**
 * Stands in front of a real registry and passes every request on after a while, like a network with that round trip
 * time: it adds nothing to new connections, and layers come through as fast as without it.
 *
 * Without a port, any that is free.
 */
export async function startDelayedRegistry(
  target: RegistryConnection,
  delayMs: number,
  port = 0,
): Promise<DelayedRegistry> {
  const agent = new Agent({ keepAlive: true });
  const server = createServer((incoming, outgoing) => {
    setTimeout(() => passOn({ incoming, outgoing, target, agent }), delayMs);
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => {
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      agent.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

interface Passage {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly target: RegistryConnection;
  readonly agent: Agent;
}

function passOn({ incoming, outgoing, target, agent }: Passage): void {
  const { method = 'GET', url = '/', headers } = incoming;
  const forwarded = request(`${target.url}${url}`, { method, headers, agent }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
  });
  forwarded.on('error', () => outgoing.destroy());
  incoming.pipe(forwarded);
}
