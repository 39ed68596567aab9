import type { Logger } from 'pino';

import { type Clock, untilAborted } from '../clock.ts';
import type { Connection } from '../kubernetes/connection/api-client.ts';
import { type Events, createEvents } from '../kubernetes/events/events.ts';
import { createWorkloadClient } from '../kubernetes/workloads/workload-client.ts';
import { LiveSettings } from '../settings/live-settings.ts';
import type { ObjectEvent } from '../reconcile/ports.ts';
import type { BackupImageRegistry } from '../registry/image-registry.ts';
import type { Settings } from '../settings/settings.ts';
import type { HealthChecks } from '../telemetry/http-server.ts';
import { type Metrics, createMetrics } from '../telemetry/metrics.ts';
import { type Scope, isInScope } from '../workloads/scope.ts';
import { toRegistrySettings } from './loops/copy-loop.ts';
import { createControllerRegistry } from './controller-registry.ts';
import { watchCredentials } from './watches/credentials-watch.ts';
import { planForbiddenEvent, planRefusedEvent, planStoppedEvent } from './config-map-events.ts';
import { createLivenessChecks, createReadinessChecks } from './health.ts';
import { Loops } from './loops/loops.ts';
import { CurrentPhase } from './phase.ts';
import { PullSecretLoop } from './loops/pull-secret-loop.ts';
import { type SettingsWatch, applyEnvironment, createSettingsWatch } from './watches/settings-watch.ts';
import { type Lease, createLoneLease, createSharedLease } from './lease.ts';
import { createScope, findKinds } from '../settings/scope.ts';
import { type WorkloadWatch, createWorkloadWatch } from './watches/workload-watch.ts';

/** Together with ending what does not end (5 s), the events and the Lease (10 s), within the 30 s that a pod has left. */
const DRAIN_MS = 12_000;
const EVENTS_DRAIN_MS = 2_000;

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

/** Everything that runs, wired up once; `run` starts it in order and stops it in order. */
export class Controller {
  readonly #deps: ControllerDeps;
  readonly #live: LiveSettings;
  readonly #settingsWatch: SettingsWatch;
  readonly #workloads: WorkloadWatch;
  readonly #registry: BackupImageRegistry;
  readonly #events: Events;
  readonly #lease: Lease;
  readonly #phase: CurrentPhase;
  readonly #pullSecrets: PullSecretLoop;
  readonly #loops: Loops;
  readonly #synced = Promise.withResolvers<void>();
  readonly #stopWatching = new AbortController();
  readonly metrics: Metrics;
  readonly livenessChecks: HealthChecks;
  readonly readinessChecks: HealthChecks;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
    const { connection, clock, log, instance, namespace, environment } = deps;
    this.metrics = createMetrics(
      deps.version,
      () => this.#loops.readState(),
      () => this.#registry.readState(),
    );
    this.#live = new LiveSettings({
      environment,
      log,
      onChanged: (now, before) => this.#applySettings(now, before),
      onRefused: (problem) => this.#refuseSettings(problem),
    });
    this.#settingsWatch = createSettingsWatch({ connection, namespace, live: this.#live, clock, log });
    this.#workloads = createWorkloadWatch({
      connection,
      clock,
      log,
      isInScope: (name) => this.#live.isKnown && isInScope(name, createScope(this.#live.current, deps.self)),
      onChange: (key, workload) => this.#loops.observe(key, workload),
      onSynced: () => {
        this.#synced.resolve();
        this.#loops.watchRestore();
        this.#advance();
      },
      onForbidden: () => this.#tellForbidden(),
    });
    this.#events = createEvents({ connection, instance, clock, log });
    this.#lease = deps.leaderElect ? createSharedLease(deps) : createLoneLease();
    this.#phase = new CurrentPhase(() => ({
      isAllKnown: this.#live.isKnown && this.#workloads.hasSynced(),
      hasLease: this.#lease.isLeader(),
    }));
    this.#registry = createControllerRegistry({
      ...deps,
      settings: () => toRegistrySettings(this.#live.current),
      onSent: (bytes) => this.metrics.copyBytes.inc(bytes),
    });
    this.#pullSecrets = new PullSecretLoop({
      ...deps,
      assertMayWrite: () => this.#lease.assertMayWrite(),
      workloads: this.#workloads,
      settings: this.#live,
      events: this.#events,
      metrics: this.metrics.forQueue('pull-secrets'),
    });
    this.#loops = this.#createLoops();
    const parts = {
      live: this.#live,
      workloads: this.#workloads,
      loops: this.#loops,
      lease: this.#lease,
    };
    this.livenessChecks = createLivenessChecks(parts);
    this.readinessChecks = createReadinessChecks(parts);
  }

  /**
   * Works until the signal, or until the Lease is lost. Returns the exit code.
   *
   * @throws {UsageError} when there is neither a ConfigMap nor an environment with usable settings.
   */
  async run(signal: AbortSignal): Promise<number> {
    const { log } = this.#deps;
    const watching = Promise.all([
      this.#settingsWatch.run(this.#stopWatching.signal),
      this.#workloads.run(this.#stopWatching.signal),
    ]);
    const stopped = AbortSignal.any([signal, this.#lease.lost]);
    try {
      await this.#findSettings(stopped);
      if (this.#live.isKnown) {
        await Promise.race([this.#synced.promise, untilAborted(stopped)]);
      }
      if (!stopped.aborted) {
        const onChange = (): void => this.#loops.retryWithNewCredentials();
        watchCredentials(this.#deps.environment['DOCKER_CONFIG'], onChange, stopped);
        void this.#lease.taken.then(() => this.#startLeading());
        const electing = this.#lease.run(this.#stopWatching.signal);
        await untilAborted(stopped);
        await this.#stopWork();
        await electing;
      }
    } finally {
      this.#stopWatching.abort();
      await Promise.all([watching, this.#pullSecrets.stop()]);
      this.#registry.close();
      this.#deps.connection.close();
    }
    log.info('stopped');
    return this.#lease.lost.aborted ? 1 : 0;
  }

  /** The Lease is renewed for as long as work is being finished, and given back after that. */
  async #stopWork(): Promise<void> {
    const isLost = this.#lease.lost.aborted;
    this.#deps.log.info(isLost ? 'lease lost, stopping' : 'stopping');
    switch (this.#phase.drain()) {
      case 'leading':
        await this.#loops.drain(isLost ? 0 : DRAIN_MS);
        break;
      case 'starting':
      case 'standby':
      case 'draining':
        this.#loops.shutDown();
    }
    await this.#events.close(EVENTS_DRAIN_MS);
    await this.#lease.release();
  }

  /** Waits for the first answer of the API server, however long that takes. */
  async #findSettings(signal: AbortSignal): Promise<void> {
    await Promise.race([this.#settingsWatch.synced, untilAborted(signal)]);
    if (signal.aborted || this.#live.isKnown || this.#settingsWatch.findConfigMap()) {
      return;
    }
    applyEnvironment(this.#live, this.#deps);
  }

  #startLeading(): void {
    this.metrics.isLeader.set(1);
    if (this.#live.problem !== undefined) {
      this.#tellOwn(planRefusedEvent(this.#live.problem));
    }
    this.#tellForbidden();
    this.#advance();
  }

  /** Once it leads it works, with all workloads that there are. */
  #advance(): void {
    if (this.#phase.advance() === 'leading') {
      this.#deps.log.info('working');
      this.#loops.start();
    }
  }

  #applySettings(settings: Settings, before: Settings | undefined): void {
    const { log } = this.#deps;
    log.level = settings.LOG_LEVEL;
    const { MODE: mode, NAMESPACES_EXCLUDE_LIST: excluded, REGISTRY_PREFIX: prefix } = settings;
    log.info({ mode, prefix: `${prefix.host}/${prefix.path}`, excluded }, 'settings applied');
    this.metrics.settingsReloads.inc({ result: 'applied' });
    this.metrics.isSettingsApplied.set(1);
    this.#workloads.setKinds(findKinds(settings));
    this.#loops.applySettings(settings, before);
    this.#advance();
  }

  #refuseSettings(problem: string): void {
    const kept = this.#live.isKnown ? 'the last good settings stay' : 'waiting for an edit of the ConfigMap';
    this.#deps.log.error({ problem }, `settings refused, ${kept}`);
    this.metrics.settingsReloads.inc({ result: 'refused' });
    this.metrics.isSettingsApplied.set(0);
    if (this.#lease.isLeader()) {
      this.#tellOwn(planRefusedEvent(problem));
    }
  }

  /** About the ConfigMap: there is no other object of ours that a user looks at. */
  #tellOwn(event: ObjectEvent): void {
    const configMap = this.#settingsWatch.findConfigMap();
    if (configMap) {
      this.#events.record(configMap, event);
    }
  }

  #tellForbidden(): void {
    const kinds = this.#workloads.listForbidden();
    if (this.#lease.isLeader() && kinds.length > 0) {
      this.#tellOwn(planForbiddenEvent(kinds));
    }
  }

  #tellStopped(untilMs: number): void {
    this.#deps.log.error({ until: new Date(untilMs).toISOString() }, 'swapping stopped');
    this.#tellOwn(planStoppedEvent(untilMs));
  }

  #createLoops(): Loops {
    const { connection, clock, log } = this.#deps;
    return new Loops({
      workloads: this.#workloads,
      phase: this.#phase,
      areWorkloadsKnown: () => this.#workloads.hasSynced(),
      client: createWorkloadClient({ connection, clock, assertMayWrite: () => this.#lease.assertMayWrite() }),
      pullSecrets: this.#pullSecrets,
      registry: this.#registry,
      events: this.#events,
      settings: this.#live,
      clock,
      log,
      metrics: this.metrics,
      onSwappingStopped: (untilMs) => this.#tellStopped(untilMs),
    });
  }
}
