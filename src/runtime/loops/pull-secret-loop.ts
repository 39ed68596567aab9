import type { Logger } from 'pino';

import type { Clock } from '../../clock.ts';
import type { Connection } from '../../kubernetes/connection/api-client.ts';
import { createPullSecretClient } from '../../kubernetes/secrets/secret-client.ts';
import type { LiveSettings } from '../../settings/live-settings.ts';
import { type QueueMetrics, WorkQueue } from '../../queue/work-queue.ts';
import type { EventRecorder } from '../../reconcile/ports.ts';
import { PullSecrets, type SwapPullSecrets } from '../../reconcile/pull-secrets/pull-secrets.ts';
import type { Workload } from '../../workloads/workload.ts';
import { PullSecretWatch } from '../watches/pull-secret-watch.ts';
import type { WorkloadWatch } from '../watches/workload-watch.ts';

export interface PullSecretLoopDeps {
  readonly connection: Connection;
  readonly namespace: string;
  readonly assertMayWrite: () => void;
  readonly workloads: Pick<WorkloadWatch, 'listIn' | 'canSee'>;
  readonly settings: LiveSettings;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: QueueMetrics;
}

/** While it only observes, nothing is handed out or taken back. */
function findWanted(settings: LiveSettings): string | undefined {
  const isActive = settings.isKnown && settings.current.MODE !== 'observe';
  return isActive ? settings.current.PULL_SECRET || undefined : undefined;
}

/** The loop of pull secrets, one key for each namespace; idle while PULL_SECRET is empty. */
export class PullSecretLoop {
  readonly #deps: PullSecretLoopDeps;
  readonly #watch: PullSecretWatch;
  readonly #queue: WorkQueue;
  readonly #secrets: PullSecrets;

  constructor(deps: PullSecretLoopDeps) {
    this.#deps = deps;
    const { connection, namespace: ownNamespace, assertMayWrite, workloads, clock, log } = deps;
    this.#queue = new WorkQueue({ name: 'pull-secrets', concurrency: 1, clock, log, metrics: deps.metrics });
    this.#watch = new PullSecretWatch({
      connection,
      ownNamespace,
      clock,
      log,
      onChange: (namespace) => this.#onSecret(namespace),
      onSynced: () => this.#onSecret(ownNamespace),
    });
    this.#secrets = new PullSecrets({
      store: this.#watch,
      client: createPullSecretClient({ connection, ownNamespace, assertMayWrite }),
      listWorkloads: (namespace) => workloads.listIn(namespace),
      canSee: (kind) => workloads.canSee(kind),
      wanted: () => findWanted(deps.settings),
      ownNamespace,
      events: deps.events,
      nowMs: () => clock.nowMs(),
    });
  }

  get secrets(): SwapPullSecrets {
    return this.#secrets;
  }

  start(): void {
    this.#queue.start((namespace, signal) => this.#secrets.reconcile(namespace, signal));
  }

  applySettings(): void {
    this.#watch.setName(this.#secrets.wanted);
  }

  observe(key: string, workload: Workload | undefined): void {
    const namespace = this.#secrets.observe(key, workload);
    if (namespace !== undefined) {
      this.#queue.add(namespace);
    }
  }

  /** Age of the oldest pass over a namespace. */
  longestPassMs(): number {
    return this.#queue.longestRunningMs();
  }

  async drain(deadlineMs: number): Promise<void> {
    await this.#queue.drain(deadlineMs);
  }

  shutDown(): void {
    this.#queue.shutDown();
  }

  /** Ends the watch. */
  async stop(): Promise<void> {
    await this.#watch.stop();
  }

  /** A changed source goes to all namespaces. */
  #onSecret(namespace: string): void {
    this.#queue.add(namespace);
    if (namespace === this.#deps.namespace) {
      for (const secret of this.#watch.list()) {
        this.#queue.add(secret.namespace);
      }
    }
  }
}
