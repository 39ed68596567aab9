import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/**
 * Below the range that operating systems hand out for outgoing connections: a server that is stopped and started again
 * must find its port free.
 */
const FIRST = 11_000;
const LAST = 29_999;
const TRIES = 100;

/** Where the servers of tests listen. */
const SERVERS = '127.0.0.1';
/**
 * Where a port is reserved: other test processes look for ports at the same time, and a server may take seconds to listen,
 * or be stopped for a while. The kernel gives a reservation up with the process that made it.
 */
const RESERVATIONS = '127.0.0.2';

/** A TCP port on loopback that nobody listens on, and that nobody else gets from here while this process lives. */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const port = randomInt(FIRST, LAST + 1);
    if ((await reserve(port)) && (await isFree(port))) {
      return port;
    }
  }
  throw new Error(`no free port found between ${FIRST} and ${LAST}`);
}

async function reserve(port: number): Promise<boolean> {
  try {
    (await listen(port, RESERVATIONS)).unref();
    return true;
  } catch (error) {
    // Some systems have one loopback address only: there, nothing is reserved.
    return (error as NodeJS.ErrnoException).code === 'EADDRNOTAVAIL';
  }
}

async function isFree(port: number): Promise<boolean> {
  try {
    const server = await listen(port, SERVERS);
    await new Promise((resolve) => {
      server.close(resolve);
    });
    return true;
  } catch {
    return false;
  }
}

/** @throws {Error} of Node when the port cannot be listened on. */
async function listen(port: number, host: string): Promise<Server> {
  const server = createServer().listen({ port, host, exclusive: true });
  await once(server, 'listening');
  return server;
}
