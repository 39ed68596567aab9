/**
 * Loaded into the controller before its own code (`--import`): tells how long its event loop was blocked, and makes the
 * names of a domain that nobody has slow to look up.
 *
 * A block is measured in CPU time of the main thread, so that a busy machine, which lets the controller wait for its turn,
 * is not taken for one. What blocks without computing, such as reading a pipe, is not seen here: the probes of the health
 * page are not answered then.
 */
import { appendFileSync } from 'node:fs';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';

/** Shorter ones are not worth a line. */
const SHORTEST_MS = 50;
const TICK_MS = 10;

/** One line of the file. */
export interface Block {
  /** When it was over, as `Date.now()`. */
  readonly atMs: number;
  readonly cpuMs: number;
  readonly wallMs: number;
}

function cpuNowMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** Calls back with every block, until the process ends. */
export function watchBlocks(onBlock: (block: Block) => void): NodeJS.Timeout {
  let lastCpuMs = cpuNowMs();
  let lastWallMs = performance.now();
  return setInterval(() => {
    const [cpuMs, wallMs] = [cpuNowMs() - lastCpuMs, performance.now() - lastWallMs];
    lastCpuMs += cpuMs;
    lastWallMs += wallMs;
    if (cpuMs >= SHORTEST_MS) {
      onBlock({ atMs: Date.now(), cpuMs: Math.round(cpuMs), wallMs: Math.round(wallMs) });
    }
  }, TICK_MS).unref();
}

/** No query leaves the machine: a name of this domain is unknown, and that takes as long to find out as given. */
function slowDownLookups(domain: string, delayMs: number): void {
  const { lookup } = dns;
  const slowLookup = (...args: Parameters<typeof lookup>): void => {
    const [hostname] = args;
    const callback = args.at(-1) as unknown as (error: Error) => void;
    if (!hostname.endsWith(domain)) {
      lookup(...args);
      return;
    }
    setTimeout(() => {
      callback(
        Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND', hostname }),
      );
    }, delayMs);
  };
  dns.lookup = slowLookup as typeof lookup;
  syncBuiltinESMExports();
}

const { LOOP_PROBE_FILE: file, SLOW_DOMAIN: domain } = process.env;
if (file !== undefined) {
  watchBlocks((block) => appendFileSync(file, `${JSON.stringify(block)}\n`));
}
if (domain !== undefined) {
  slowDownLookups(domain, 3_000);
}
