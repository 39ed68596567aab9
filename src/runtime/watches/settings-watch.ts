import type { Logger } from 'pino';

import type { Clock } from '../../clock.ts';
import { UsageError } from '../../errors.ts';
import type { Connection } from '../../kubernetes/connection/api-client.ts';
import { projectConfigMap } from '../../kubernetes/decode/config-map.ts';
import { createReflector } from '../../kubernetes/reflector/reflector.ts';
import type { LiveSettings } from '../../settings/live-settings.ts';
import type { EventSubject } from '../../reconcile/ports.ts';
import { type Settings, parseSettings } from '../../settings/settings.ts';

export const CONFIG_MAP_NAME = 'k8s-backup-image-registry-controller-configuration';

export interface SettingsWatchOptions {
  readonly connection: Connection;
  readonly namespace: string;
  readonly live: LiveSettings;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface SettingsWatch {
  run(signal: AbortSignal): Promise<void>;
  /** Settles once it is known whether there is a ConfigMap, and what it says has been applied. */
  readonly synced: Promise<void>;
  /** The ConfigMap, for events about it; undefined when there is none. */
  findConfigMap(): EventSubject | undefined;
}

/** Applies the ConfigMap, and every edit of it. */
export function createSettingsWatch({
  connection,
  namespace,
  live,
  clock,
  log,
}: SettingsWatchOptions): SettingsWatch {
  const reflector = createReflector({
    connection,
    path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`,
    query: { fieldSelector: `metadata.name=${CONFIG_MAP_NAME}` },
    resource: 'configmaps',
    project: projectConfigMap,
    onChange: (_, now) => live.apply(now?.data),
    log,
    clock,
    random: Math.random,
  });
  return {
    run: (signal) => reflector.run(signal),
    synced: reflector.synced,
    findConfigMap: () => reflector.get(`${namespace}/${CONFIG_MAP_NAME}`),
  };
}

interface EnvironmentOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly namespace: string;
}

/**
 * The settings from the environment alone, because there is no ConfigMap.
 *
 * @throws {UsageError} when they are not usable either.
 */
export function parseEnvironment({ environment, namespace }: EnvironmentOptions): Settings {
  try {
    return parseSettings({}, environment);
  } catch (error) {
    if (!(error instanceof UsageError)) {
      throw error;
    }
    throw new UsageError(
      `${error.message}. There is no ConfigMap ${CONFIG_MAP_NAME} in the namespace ${namespace}; ` +
        'create it (kubectl apply -f ./config/default/), or set the environment variable.',
      { cause: error },
    );
  }
}

/** @throws {UsageError} when the environment, which counts without a ConfigMap, has no usable settings. */
export function applyEnvironment(live: LiveSettings, options: EnvironmentOptions): void {
  parseEnvironment(options);
  live.apply(undefined);
}
