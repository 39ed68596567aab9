import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

import { type Clock, systemClock } from '../../clock.ts';
import { UsageError } from '../../errors.ts';
import { findEnvironmentProxy } from '../../network/environment-proxy.ts';
import { readTrustedCertificates } from '../../network/trusted-certificates.ts';
import { type ClientLimits, type Connection, connectTo } from './api-client.ts';

import { createInClusterTarget, SERVICE_ACCOUNT_FOLDER } from './in-cluster.ts';
import { createKubeConfigTarget } from './kubeconfig.ts';
import type { Target } from './target.ts';

export interface ConnectionOptions {
  /** Of `--kubeconfig`; goes before everything else. */
  readonly kubeconfigPath?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `backup-image-registry/<version>`. */
  readonly userAgent: string;
  readonly clock?: Clock;
  readonly serviceAccountFolder?: string;
  readonly limits?: Partial<ClientLimits>;
}

/** Same order as other controllers: `--kubeconfig`, `KUBECONFIG`, the cluster we run in, `~/.kube/config`. */
async function findTarget(options: ConnectionOptions): Promise<Target> {
  const { kubeconfigPath, environment, clock = systemClock } = options;
  const listed = (environment['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  if (kubeconfigPath) {
    return createKubeConfigTarget([kubeconfigPath]);
  }
  if (listed.length > 0) {
    return createKubeConfigTarget(listed);
  }
  const host = environment['KUBERNETES_SERVICE_HOST'];
  if (host) {
    return createInClusterTarget({
      host,
      port: environment['KUBERNETES_SERVICE_PORT'] || '443',
      folder: options.serviceAccountFolder ?? SERVICE_ACCOUNT_FOLDER,
      clock,
    });
  }
  const atHome = join(environment['HOME'] || homedir(), '.kube', 'config');
  if (!existsSync(atHome)) {
    throw new UsageError(
      `no cluster to talk to: not in one, and neither --kubeconfig, KUBECONFIG nor ${atHome} leads to one`,
    );
  }
  return createKubeConfigTarget([atHome]);
}

/**
 * Finds the cluster and prepares to talk to it; the first request shows whether it answers.
 *
 * @throws {UsageError} when there is no usable configuration.
 */
export async function createConnection(options: ConnectionOptions): Promise<Connection> {
  const { userAgent, clock = systemClock, limits } = options;
  const target = await findTarget(options);
  if (!['http:', 'https:'].includes(target.server.protocol)) {
    throw new UsageError(`server ${target.server.href} is neither http nor https`);
  }
  const proxyUrl = target.proxyAgent ? undefined : findEnvironmentProxy(target.server, options.environment);
  const trusted = readTrustedCertificates(options.environment);
  return connectTo({ ...target, proxyUrl, trusted }, { userAgent, clock, ...(limits ? { limits } : {}) });
}
