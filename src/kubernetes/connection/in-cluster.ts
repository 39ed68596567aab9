import { isIPv6 } from 'node:net';
import { join } from 'node:path';

import type { Clock } from '../../clock.ts';
import { UsageError } from '../../errors.ts';
import { readSmallFile } from '../../small-file.ts';
import type { Credentials, Target } from './target.ts';

export const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
/** The kubelet renews tokens long before they expire; client-go looks as often. */
const READ_AGAIN_MS = 60_000;

function serverUrl(host: string, port: string): URL {
  return new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`);
}

/**
 * The cluster that this process runs in, through the files of its service account.
 *
 * @throws {UsageError} when they cannot be read at the start; later the last good ones are kept.
 */
export async function createInClusterTarget(options: {
  readonly host: string;
  readonly port: string;
  readonly folder: string;
  readonly clock: Clock;
}): Promise<Target> {
  const { host, port, folder, clock } = options;
  const readCredentials = async (): Promise<Credentials> => {
    const [token, ca] = await Promise.all([
      readSmallFile(join(folder, 'token')),
      readSmallFile(join(folder, 'ca.crt')),
    ]);
    return { headers: { authorization: `Bearer ${token.trim()}` }, tls: { ca } };
  };
  let current = await readCredentials().catch((cause: unknown) => {
    throw new UsageError(
      `in a cluster, but the service account files in ${folder} cannot be read: is automountServiceAccountToken off?`,
      { cause },
    );
  });
  let readAtMs = clock.monotonicMs();
  const namespace = await readSmallFile(join(folder, 'namespace')).catch(() => '');
  return {
    server: serverUrl(host, port),
    namespace: namespace.trim() || undefined,
    async readCredentials({ renew }) {
      if (renew || clock.monotonicMs() - readAtMs > READ_AGAIN_MS) {
        readAtMs = clock.monotonicMs();
        current = await readCredentials().catch(() => current);
      }
      return current;
    },
  };
}
