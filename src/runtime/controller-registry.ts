import type { Clock } from '../clock.ts';
import { type BackupImageRegistry, createImageRegistry } from '../registry/image-registry.ts';
import type { RegistrySettings } from '../registry/registry-context.ts';

/** Before the queue stops waiting for an engine that was told to end. */
const KILL_ENGINE_AFTER_MS = 4_000;

export interface ControllerRegistryDeps {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly settings: () => RegistrySettings;
  readonly onProblem?: (problem: string) => void;
  readonly onSent?: (bytes: number) => void;
  readonly onMounted?: (bytes: number) => void;
}

/** The registries as the controller uses them: regctl from PATH, and the credentials of its folder. */
export function createControllerRegistry(deps: ControllerRegistryDeps): BackupImageRegistry {
  return createImageRegistry({
    ...deps,
    configFolder: deps.environment['DOCKER_CONFIG'],
    program: 'regctl',
    killAfterMs: KILL_ENGINE_AFTER_MS,
  });
}
