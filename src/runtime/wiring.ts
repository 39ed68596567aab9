import type { Logger } from 'pino';

import type { Clock } from '../clock.ts';
import type { Connection } from '../kubernetes/connection/api-client.ts';
import { type Events, createEvents } from '../kubernetes/events/events.ts';
import { createWorkloadClient } from '../kubernetes/workloads/workload-client.ts';
import type { BackupImageRegistry } from '../registry/image-registry.ts';
import { LiveSettings } from '../settings/live-settings.ts';
import { createScope } from '../settings/scope.ts';
import { type Metrics, createMetrics } from '../telemetry/metrics.ts';
import { type Scope, isInScope } from '../workloads/scope.ts';
import { type ConfigMapRecorder, createConfigMapRecorder } from './config-map-recorder.ts';
import { createControllerRegistry } from './controller-registry.ts';
import { type Lease, createLoneLease, createSharedLease } from './lease.ts';
import { toRegistrySettings } from './loops/copy-loop.ts';
import { Loops } from './loops/loops.ts';
import { PullSecretLoop } from './loops/pull-secret-loop.ts';
import { CurrentPhase } from './phase.ts';
import { type PodWatch, createPodWatch } from './watches/pod-watch.ts';
import { type SettingsWatch, createSettingsWatch } from './watches/settings-watch.ts';
import { type WorkloadWatch, createWorkloadWatch } from './watches/workload-watch.ts';

export interface ControllerDeps {
  readonly connection: Connection;
  readonly namespace: string;
  /** Of the pod, or the machine. */
  readonly instance: string;
  readonly self: Scope['self'];
  readonly leaderElect: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What the loops work with. */
interface Surroundings {
  readonly metrics: Metrics;
  readonly live: LiveSettings;
  readonly settingsWatch: SettingsWatch;
  readonly workloads: WorkloadWatch;
  readonly pods: PodWatch;
  readonly events: Events;
  readonly lease: Lease;
  readonly phase: CurrentPhase;
}

/** Everything that runs. */
export interface ControllerParts extends Surroundings {
  readonly deps: ControllerDeps;
  readonly configMapRecorder: ConfigMapRecorder;
  readonly registry: BackupImageRegistry;
  readonly pullSecrets: PullSecretLoop;
  readonly loops: Loops;
}

function buildSurroundings(deps: ControllerDeps): Surroundings {
  const { connection, namespace, environment, self, clock, log } = deps;
  const live = new LiveSettings({ environment, log });
  const workloads = createWorkloadWatch({
    connection,
    clock,
    log,
    isInScope: (name) => live.isKnown && isInScope(name, createScope(live.current, self)),
  });
  const pods = createPodWatch(deps);
  const lease = deps.leaderElect ? createSharedLease(deps) : createLoneLease();
  return {
    metrics: createMetrics(deps.version),
    live,
    settingsWatch: createSettingsWatch({ connection, namespace, live, clock, log }),
    workloads,
    pods,
    events: createEvents(deps),
    lease,
    phase: new CurrentPhase(() => ({
      isAllKnown: live.isKnown && workloads.hasSynced() && pods.isKnown(),
      hasLease: lease.isLeader(),
    })),
  };
}

/**
 * Builds all parts, each from those before it. Nothing runs yet, and nobody hears of anything: `connectParts` sees to
 * that.
 */
export function buildParts(deps: ControllerDeps): ControllerParts {
  const { connection, clock, log } = deps;
  const surroundings = buildSurroundings(deps);
  const { metrics, live, workloads, events, lease } = surroundings;
  const assertMayWrite = (): void => lease.assertMayWrite();
  const configMapRecorder = createConfigMapRecorder(surroundings);
  const registry = createControllerRegistry({
    ...deps,
    settings: () => toRegistrySettings(live.current),
    onProblem: (problem) => log.warn({ problem }, 'registry problem'),
    onSent: (bytes) => metrics.copyBytes.inc(bytes),
    onMounted(bytes) {
      metrics.mountedLayers.inc();
      metrics.mountedBytes.inc(bytes);
    },
  });
  const pullSecrets = new PullSecretLoop({
    ...deps,
    assertMayWrite,
    workloads,
    settings: live,
    events,
    metrics: metrics.forQueue('pull-secrets'),
  });
  const loops = new Loops({
    ...surroundings,
    areWorkloadsKnown: () => workloads.hasSynced(),
    client: createWorkloadClient({ connection, clock, assertMayWrite }),
    pullSecrets,
    registry,
    settings: live,
    clock,
    log,
    memo: lease.memo,
    onSwappingStopped(stop) {
      const { namespace, untilMs } = stop;
      log.error({ namespace, until: new Date(untilMs).toISOString() }, 'swapping stopped');
      configMapRecorder.recordStopped(stop);
    },
  });
  return { ...surroundings, deps, configMapRecorder, registry, pullSecrets, loops };
}
