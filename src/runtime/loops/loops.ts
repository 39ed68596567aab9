import type { Logger } from 'pino';

import type { Clock } from '../../clock.ts';
import type { LiveSettings } from '../../settings/live-settings.ts';
import { type Reconcile, WorkQueue } from '../../queue/work-queue.ts';
import { isImageCopy } from '../../images/copy-name.ts';
import { CopyStore } from '../../reconcile/copies/copy-store.ts';
import { RestoreProgress } from '../../reconcile/memory/restore-progress.ts';
import { WorkloadMemories } from '../../reconcile/memory/workload-memories.ts';
import type {
  EventRecorder,
  ImageRegistry,
  PodStore,
  WorkloadClient,
  WorkloadStore,
} from '../../reconcile/ports.ts';
import { RolloutBudget } from '../../reconcile/rollouts/rollout-budget.ts';
import type { Memo, SwapStop } from '../../reconcile/rollouts/swap-stops.ts';
import type { CurrentPhase } from '../phase.ts';
import type { PullSecretLoop } from './pull-secret-loop.ts';
import { createWorkloadReconciler } from '../../reconcile/workload/workload-reconciler.ts';
import type { Settings } from '../../settings/settings.ts';
import { type Consequence, planConsequences } from '../../settings/settings-change.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Snapshot } from '../../telemetry/snapshot.ts';
import { type AttendedRegistry, attendRegistry } from './attended-registry.ts';
import { createCopyLoop, createCopyQueue, findCopyShare, planCopyPasses } from './copy-loop.ts';
import { formatWorkloadKey, parseWorkloadKey } from '../../workloads/kinds.ts';
import type { Workload } from '../../workloads/workload.ts';

/** Passes over workloads at the same time: they mostly wait for the API server. One namespace gets three quarters of them. */
const WORKLOAD_CONCURRENCY = 10;

/**
 * A workload is looked at that long after the first change of its pods, and, while it rolls out, of its status, for all changes
 * until then: those come many times a second. By then the watches of both have caught up with each other, too.
 */
const NEWS_MS = 1_000;
/** A pod that cannot pull is not kept waiting that long. */
const PULL_NEWS_MS = 250;
/** Where every look lists the pods. */
const LISTED_POD_NEWS_MS = 10_000;

export interface LoopsDeps {
  readonly phase: Pick<CurrentPhase, 'current'>;
  readonly workloads: WorkloadStore;
  readonly pods: PodStore;
  readonly areWorkloadsKnown: () => boolean;
  readonly client: WorkloadClient;
  readonly registry: ImageRegistry;
  readonly events: EventRecorder;
  readonly pullSecrets: Pick<
    PullSecretLoop,
    'secrets' | 'start' | 'applySettings' | 'observe' | 'longestPassMs' | 'drain' | 'shutDown'
  >;
  readonly settings: LiveSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'copies' | 'copyDuration' | 'swaps' | 'forQueue'>;
  /** What is left to the process that leads next. */
  readonly memo: Memo;
  /** Told once for every stop. */
  readonly onSwappingStopped: (stop: SwapStop) => void;
}

/** The two loops, and what they share. */
export class Loops {
  readonly #deps: LoopsDeps;
  readonly #copies: CopyStore;
  readonly #budget: RolloutBudget;
  readonly #memories: WorkloadMemories;
  readonly #restoreProgress: RestoreProgress;
  readonly #workloadQueue: WorkQueue;
  readonly #copyQueue: WorkQueue;
  readonly #copyRegistry: AttendedRegistry;
  /** Of the settings that were taken last. */
  #mode: Settings['MODE'] | undefined;

  constructor(deps: LoopsDeps) {
    this.#deps = deps;
    const { settings, clock, log, metrics } = deps;
    this.#copyQueue = createCopyQueue({ ...deps, findShare: (key) => findCopyShare(this.#copies, key) });
    this.#workloadQueue = new WorkQueue({
      name: 'workloads',
      concurrency: WORKLOAD_CONCURRENCY,
      clock,
      log,
      metrics: metrics.forQueue('workloads'),
      findShare: (key) => ({ namespaces: [parseWorkloadKey(key).namespace] }),
    });
    this.#copyRegistry = attendRegistry({
      registry: deps.registry,
      clock,
      copyTimeoutMs: () => settings.current.COPY_TIMEOUT,
      passes: () => planCopyPasses(settings.current),
    });
    this.#copies = new CopyStore({
      onWanted: (key) => this.#copyQueue.add(key),
      onSettled: (key) => this.#workloadQueue.add(key),
      onShared: (key) => this.#copyQueue.widen(key),
      onUnwanted: (key) => this.#copyQueue.forget(key),
    });
    this.#budget = new RolloutBudget({
      limits: () => ({
        maxRollouts: settings.current.MAX_CONCURRENT_ROLLOUTS,
        timeoutMs: settings.current.ROLLOUT_TIMEOUT,
      }),
      nowMs: () => clock.nowMs(),
      isCopy: (image) => isImageCopy(image, settings.current.REGISTRY_PREFIX),
      onFree: (key) => this.#workloadQueue.add(key),
      onStopped: deps.onSwappingStopped,
      memo: deps.memo,
    });
    this.#memories = new WorkloadMemories(() => clock.nowMs());
    this.#restoreProgress = new RestoreProgress(log);
  }

  /** Begins to work, with all workloads: until this phase none was waiting. */
  start(): void {
    this.watchRestore();
    this.#budget.start();
    this.#lookAtAll();
    this.#workloadQueue.start(this.#createWorkloadLoop());
    this.#copyQueue.start(
      createCopyLoop({
        ...this.#deps,
        registry: this.#copyRegistry,
        copies: this.#copies,
        settings: () => this.#deps.settings.current,
      }),
    );
    this.#deps.pullSecrets.start();
  }

  /** Called for every change of a workload; `workload` is undefined once it is deleted. */
  observe(key: string, workload: Workload | undefined): void {
    this.#see(key, workload);
    this.watchRestore();
  }

  /**
   * Called for every change of a pod, with the key of the workload that has made it. `isOfPull`: the pod cannot pull, or could not
   * until now.
   */
  observePod(key: string, { isOfPull }: { readonly isOfPull: boolean }): void {
    if (this.#isLeading() && this.#deps.workloads.get(parseWorkloadKey(key))) {
      const newsMs = isOfPull ? PULL_NEWS_MS : NEWS_MS;
      this.#look(key, this.#memories.arePodsListed(key) ? LISTED_POD_NEWS_MS : newsMs);
    }
  }

  #see(key: string, workload: Workload | undefined): void {
    const isRolloutNews = this.#memories.observe(key, workload);
    this.#budget.observe(key, workload);
    this.#deps.pullSecrets.observe(key, workload);
    this.#look(key, isRolloutNews ? NEWS_MS : 0);
  }

  /** A follower may wait for months: the keys of all workloads that came and went would wait with it. */
  #look(key: string, afterMs = 0): void {
    if (this.#isLeading()) {
      this.#workloadQueue.addAfter(key, afterMs);
    }
  }

  /** Takes new settings; `before` is undefined for the first ones. */
  applySettings(now: Settings, before: Settings | undefined): void {
    this.#copyQueue.setConcurrency(planCopyPasses(now));
    this.#deps.pullSecrets.applySettings();
    for (const consequence of planConsequences(before, now)) {
      this.#carryOut(consequence);
    }
    this.#mode = now.MODE;
    this.watchRestore();
  }

  /** The credentials have changed: what could not be copied, or not be looked up before a swap, may work now. */
  retryWithNewCredentials(): void {
    this.#deps.log.info('registry credentials changed');
    this.#retryFailedCopies();
    if (this.#isLeading()) {
      this.#lookAtAll();
    }
  }

  #carryOut(consequence: Consequence): void {
    switch (consequence) {
      case 'forget copies':
        this.#copies.clear();
        return;
      case 'forgive failures':
        this.#memories.forgetDenials();
        this.#budget.forgiveFailures();
        this.#retryFailedCopies();
        return;
      case 'look at all workloads':
        this.#observeAll();
    }
  }

  #retryFailedCopies(): void {
    for (const key of this.#copies.listFailed()) {
      this.#copyQueue.add(key);
    }
  }

  /** A prefix, a kind or a list of namespaces may have changed. */
  #observeAll(): void {
    const workloads = this.#deps.workloads.list();
    for (const key of this.#memories.keepOnly(workloads)) {
      // It has left the scope, and not the cluster: only its copies are of no interest any more.
      this.#look(key);
    }
    for (const workload of workloads) {
      this.#see(formatWorkloadKey(workload), workload);
    }
  }

  #isLeading(): boolean {
    return this.#deps.phase.current === 'leading';
  }

  #lookAtAll(): void {
    for (const workload of this.#deps.workloads.list()) {
      this.#workloadQueue.add(formatWorkloadKey(workload));
    }
  }

  /** To be called when all workloads are known: says when nothing is left to be restored. */
  watchRestore(): void {
    // Not before all workloads that the settings let it see were looked at.
    const isWatched = this.#mode === 'restore' && this.#isLeading() && this.#deps.areWorkloadsKnown();
    this.#restoreProgress.update(isWatched, this.#memories);
  }

  readState(): Pick<
    Snapshot,
    'images' | 'rollouts' | 'recorded' | 'isSwappingStopped' | 'stoppedNamespaces'
  > {
    const { isKnown } = this.#deps.settings;
    const { isStopped, stoppedNamespaces } = this.#budget.readStops();
    return {
      images: this.#copies.countPhases(),
      rollouts: isKnown ? this.#budget.countRolling() : 0,
      isSwappingStopped: isStopped,
      stoppedNamespaces,
      recorded: this.#memories.recorded,
    };
  }

  /** Age of the oldest pass over a workload or a pull secret: those never wait for anything long. */
  longestPassMs(): number {
    return Math.max(this.#workloadQueue.longestRunningMs(), this.#deps.pullSecrets.longestPassMs());
  }

  /** How long ago a pass over a copy should have gone on; 0 while all do, however long a copy takes. */
  longestOverdueMs(): number {
    return this.#copyRegistry.longestOverdueMs();
  }

  /** Starts nothing new, and gives what is running until the deadline. */
  async drain(deadlineMs: number): Promise<void> {
    const queues = [this.#workloadQueue, this.#copyQueue, this.#deps.pullSecrets];
    await Promise.all(queues.map((queue) => queue.drain(deadlineMs)));
  }

  /** Ends everything at once, child processes too. */
  shutDown(): void {
    this.#workloadQueue.shutDown();
    this.#copyQueue.shutDown();
    this.#deps.pullSecrets.shutDown();
  }

  #createWorkloadLoop(): Reconcile {
    const { settings, clock, log, metrics } = this.#deps;
    return createWorkloadReconciler({
      ...this.#deps,
      copies: this.#copies,
      budget: this.#budget,
      memories: this.#memories,
      pullSecrets: this.#deps.pullSecrets.secrets,
      settings: () => settings.current,
      log: log.child({ component: 'workloads' }),
      nowMs: () => clock.nowMs(),
      onSwapped: (kind, result) => metrics.swaps.inc({ kind, result }),
    });
  }
}
