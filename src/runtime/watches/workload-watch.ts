import type { Logger } from 'pino';

import { type Clock, untilAborted } from '../../clock.ts';
import type { Connection } from '../../kubernetes/connection/api-client.ts';
import type { WorkloadStore } from '../../reconcile/ports.ts';
import { type WorkloadKind, type WorkloadName, formatWorkloadKey } from '../../workloads/kinds.ts';
import type { Workload } from '../../workloads/workload.ts';
import { type KindWatch, startKindWatch } from './kind-watch.ts';
import { type NamespaceWatch, createNamespaceWatch } from './namespace-watch.ts';

export interface WorkloadWatchOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly log: Logger;
  /** Workloads out of scope are invisible to the loops, as if they did not exist. */
  readonly isInScope: (name: WorkloadName) => boolean;
}

export interface WorkloadHandlers {
  /** Called for every change of a workload in scope or of the policy of its namespace; `workload` is undefined once it is deleted. */
  readonly onChange: (key: string, workload: Workload | undefined) => void;
  /** Told when the workloads of all kinds are known, after a change of the kinds again. */
  readonly onSynced: () => void;
  /** Told that the kinds which may not be read are others than before. */
  readonly onForbidden: (kinds: readonly WorkloadKind[]) => void;
}

export interface WorkloadWatch extends WorkloadStore {
  /** From now on these are told. */
  listen(handlers: WorkloadHandlers): void;
  /** Settles when all workloads are known for the first time. */
  readonly synced: Promise<void>;
  /** Which kinds to watch from now on. Workloads of other kinds end, as far as the loops can see. */
  setKinds(kinds: readonly WorkloadKind[]): void;
  /** Ends all watches with the signal. */
  run(signal: AbortSignal): Promise<void>;
  /** True when all workloads are known, and the policies of their namespaces, as far as they may be read. */
  hasSynced(): boolean;
  /** Kinds that the server refuses to show. */
  listForbidden(): readonly WorkloadKind[];
  /** The workloads of one namespace, whether it is in scope or not. */
  listIn(namespace: string): readonly Workload[];
  /** True for a kind whose workloads are known. */
  canSee(kind: string): boolean;
  /** Of the kind that has heard nothing for the longest time. */
  lastActivityAgeMs(): number;
}

const NOBODY: WorkloadHandlers = {
  onChange: () => undefined,
  onSynced: () => undefined,
  onForbidden: () => undefined,
};

/** The workloads of the cluster, of the wanted kinds, kept up to date. */
class KindWatches implements WorkloadWatch {
  readonly #options: WorkloadWatchOptions;
  readonly #watches = new Map<WorkloadKind, KindWatch>();
  readonly #ended: Promise<void>[] = [];
  readonly #namespaces: NamespaceWatch;
  readonly #synced = Promise.withResolvers<void>();
  #handlers = NOBODY;
  #areNamespacesKnown = false;
  #forbidden = '';

  constructor(options: WorkloadWatchOptions) {
    this.#options = options;
    this.#namespaces = createNamespaceWatch({
      ...options,
      onChange: (namespace) => {
        for (const workload of this.listIn(namespace)) {
          this.#tell(workload, workload);
        }
      },
    });
    void this.#namespaces.known.then(() => {
      this.#areNamespacesKnown = true;
      this.#onProgress();
    });
  }

  listen(handlers: WorkloadHandlers): void {
    this.#handlers = handlers;
  }

  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  setKinds(kinds: readonly WorkloadKind[]): void {
    for (const [kind, watch] of this.#watches) {
      if (!kinds.includes(kind)) {
        this.#watches.delete(kind);
        this.#ended.push(watch.stop());
        for (const workload of watch.list()) {
          this.#tell(workload, undefined);
        }
      }
    }
    for (const kind of kinds) {
      if (!this.#watches.has(kind)) {
        this.#watches.set(kind, this.#start(kind));
      }
    }
    this.#onProgress();
  }

  async run(signal: AbortSignal): Promise<void> {
    const namespaces = this.#namespaces.run(signal);
    await untilAborted(signal);
    await Promise.all([
      namespaces,
      ...this.#ended,
      ...[...this.#watches.values()].map((watch) => watch.stop()),
    ]);
  }

  get(name: WorkloadName): Workload | undefined {
    return this.#options.isInScope(name)
      ? this.#watches.get(name.kind)?.get(`${name.namespace}/${name.name}`)
      : undefined;
  }

  list(): readonly Workload[] {
    return [...this.#watches.values()].flatMap((watch) => watch.list()).filter(this.#options.isInScope);
  }

  findNamespacePolicy(namespace: string): string | undefined {
    return this.#namespaces.findPolicy(namespace);
  }

  listIn(namespace: string): readonly Workload[] {
    const all = [...this.#watches.values()].flatMap((watch) => watch.list());
    return all.filter((workload) => workload.namespace === namespace);
  }

  canSee(kind: string): boolean {
    const watch = this.#watches.get(kind as WorkloadKind);
    return watch?.hasSynced() === true && !watch.isForbidden();
  }

  hasSynced(): boolean {
    const watches = [...this.#watches.values()];
    return this.#areNamespacesKnown && watches.every((watch) => watch.hasSynced() || watch.isForbidden());
  }

  listForbidden(): readonly WorkloadKind[] {
    return [...this.#watches].filter(([, watch]) => watch.isForbidden()).map(([kind]) => kind);
  }

  lastActivityAgeMs(): number {
    return Math.max(0, ...[...this.#watches.values()].map((watch) => watch.lastActivityAgeMs()));
  }

  #start(kind: WorkloadKind): KindWatch {
    const { connection, clock, log } = this.#options;
    return startKindWatch(kind, {
      connection,
      clock,
      log,
      onChange: (workload, now) => this.#tell(workload, now),
      onProgress: () => this.#onProgress(),
    });
  }

  #tell(workload: Workload, now: Workload | undefined): void {
    if (this.#options.isInScope(workload)) {
      this.#handlers.onChange(formatWorkloadKey(workload), now);
    }
  }

  #onProgress(): void {
    const forbidden = this.listForbidden();
    if (forbidden.join() !== this.#forbidden) {
      this.#forbidden = forbidden.join();
      this.#handlers.onForbidden(forbidden);
    }
    if (this.hasSynced()) {
      this.#synced.resolve();
      this.#handlers.onSynced();
    }
  }
}

export function createWorkloadWatch(options: WorkloadWatchOptions): WorkloadWatch {
  return new KindWatches(options);
}
