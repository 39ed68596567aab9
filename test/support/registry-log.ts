import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { waitFor } from './wait-for.ts';

export interface RegistryRequest {
  readonly method: string;
  /** Path and query: `/v2/app/manifests/1.0`. */
  readonly path: string;
  readonly status: number;
  /** Of the body of the answer. */
  readonly answerBytes: number;
  /** User-Agent header: tells the copy engine from the test kubelet and from seeding. */
  readonly client: string;
}

const LINE = /^\S+ \S+ \S+ \[[^\]]*\] "(\S+) (\S+) [^"]*" (\d+) (\d+) "[^"]*" "([^"]*)"$/;
const MARKER = '/v2/?log-marker=';

/**
 * What a registry was asked so far, from its own access log; works from any process. A request is logged at its end,
 * so one of our own is sent and waited for: whatever ended before it is then in the file.
 */
export async function readRequestLog(registry: {
  url: string;
  logFile: string;
}): Promise<readonly RegistryRequest[]> {
  const marker = MARKER + randomUUID();
  await fetch(registry.url + marker);
  const log = await waitFor(
    async () => {
      const text = await readFile(registry.logFile, 'utf8');
      return text.includes(marker) ? text : undefined;
    },
    { what: `the request log of ${registry.url}`, pollMs: 5 },
  );
  return log.split('\n').flatMap(parseLine);
}

function parseLine(line: string): RegistryRequest[] {
  const [, method, path, status, answerBytes, client] = LINE.exec(line) ?? [];
  if (!method || !path || client === undefined || path.startsWith(MARKER)) {
    return [];
  }
  return [{ method, path, status: Number(status), answerBytes: Number(answerBytes), client }];
}
