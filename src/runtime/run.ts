import { hostname } from 'node:os';

import type { Logger } from 'pino';

import { systemClock } from '../clock.ts';
import { createConnection } from '../kubernetes/connection/connection.ts';
import type { RequestRate } from '../kubernetes/connection/request-turns.ts';
import { readDockerConfig } from '../registry/credentials/credential-finder.ts';
import { checkEngine } from '../registry/engine/engine-version.ts';
import {
  type BindAddress,
  type Pages,
  type RunningServer,
  answerHealth,
  startHttpServer,
} from '../telemetry/http-server.ts';
import { runController } from './controller.ts';
import { createLivenessChecks, createReadinessChecks } from './health.ts';
import { type Environment, findNamespace, findSelf } from './identity.ts';
import { connectParts } from './reactions.ts';
import { type ControllerParts, buildParts } from './wiring.ts';

export interface RunOptions {
  readonly kubeconfigPath: string | undefined;
  readonly leaderElect: boolean;
  readonly metricsAddress: BindAddress | undefined;
  readonly healthAddress: BindAddress | undefined;
  /** Undefined: no limit of our own. */
  readonly requestRate: RequestRate | undefined;
  readonly environment: Environment;
  readonly version: string;
  readonly log: Logger;
}

/** Two servers, because they have two addresses; with the same address for both they could not start. */
async function startServers(options: RunOptions, parts: ControllerParts): Promise<readonly RunningServer[]> {
  const { registry } = parts.metrics;
  const liveness = createLivenessChecks(parts);
  const readiness = createReadinessChecks(parts);
  const health: Pages = {
    '/healthz': () => answerHealth(liveness),
    '/readyz': () => answerHealth(readiness),
  };
  const metrics: Pages = {
    '/metrics': async () => ({
      status: 200,
      contentType: registry.contentType,
      body: await registry.metrics(),
    }),
  };
  const servers: RunningServer[] = [];
  for (const [address, pages] of [
    [options.healthAddress, health],
    [options.metricsAddress, metrics],
  ] as const) {
    if (address) {
      servers.push(await startHttpServer(address, pages));
    }
  }
  return servers;
}

/**
 * Runs the controller until the signal. Returns the exit code: 0 after the signal, 1 when the Lease is lost.
 *
 * @throws {UsageError} when it cannot work as it is set up: one sentence that says what to do.
 */
export async function run(options: RunOptions, signal: AbortSignal): Promise<number> {
  const { environment, log, version, kubeconfigPath } = options;
  await readDockerConfig(environment['DOCKER_CONFIG']);
  await checkEngine('regctl', environment);
  const connection = await createConnection({
    kubeconfigPath,
    environment,
    userAgent: `backup-image-registry/${version}`,
    limits: { rate: options.requestRate },
  });
  const namespace = findNamespace(environment);
  const parts = buildParts({
    connection,
    namespace,
    instance: environment['POD_NAME'] || hostname(),
    self: findSelf(environment),
    leaderElect: options.leaderElect,
    environment,
    version,
    clock: systemClock,
    log,
  });
  connectParts(parts);
  const servers = await startServers(options, parts);
  log.info(
    { version, server: connection.server, namespace, listening: servers.map(({ url }) => url) },
    'starting',
  );
  try {
    return await runController(parts, signal);
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
}
