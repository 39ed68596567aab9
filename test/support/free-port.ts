import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the range that operating systems hand out for outgoing connections: a server that is stopped and started again
 * must find its port free.
 */
const FIRST = 11_000;
const LAST = 29_999;
const TRIES = 100;

/** A TCP port on loopback that nobody listens on at the moment. */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const port = randomInt(FIRST, LAST + 1);
    if (await isFree(port)) {
      return port;
    }
  }
  throw new Error(`no free port found between ${FIRST} and ${LAST}`);
}

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
