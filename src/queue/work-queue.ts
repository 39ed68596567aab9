import type { Logger } from 'pino';

import { type Clock, wait } from '../clock.ts';
import { LoopTurn } from '../event-loop.ts';
import { type KeyBackoff, createKeyBackoff } from './backoff.ts';
import { type Delays, createDelays } from './delays.ts';
import { FairLine, type Share, type Turn, planShareLimits } from './fair-line.ts';
import {
  type Outcome,
  type OutcomeResult,
  type ReconcileResult,
  judgeError,
  judgeResult,
} from './outcome.ts';
import { RetryRates } from './retry-rates.ts';

/** Must notice the signal: it is aborted when the queue has no more time to give. */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<ReconcileResult | void>;

/** What a queue tells about itself; names follow client-go's workqueue metrics. */
export interface QueueMetrics {
  depth(keys: number): void;
  added(): void;
  latency(seconds: number): void;
  workDuration(seconds: number): void;
  retries(): void;
  result(result: OutcomeResult): void;
}

export interface WorkQueueOptions {
  /** For log lines. */
  readonly name: string;
  readonly concurrency: number;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
  readonly metrics?: QueueMetrics;
  /** Who wants a key, and whom it asks; by default all keys are for the same, who may have all that can run at once. */
  readonly findShare?: (key: string) => Share;
  /** Of one key that keeps failing. */
  readonly backoff?: { readonly firstMs: number; readonly longestMs: number; readonly random?: () => number };
  /** Of all failing keys of one namespace together. */
  readonly retryRate?: { readonly perSecond: number; readonly burst: number };
}

/** Defaults are client-go's. */
const BACKOFF = { firstMs: 5, longestMs: 1_000_000 };
const RETRY_RATE = { perSecond: 10, burst: 100 };
/** A conflict means that our cache was old: the news arrives within milliseconds, or something is wrong. */
const CONFLICT_BACKOFF = { firstMs: 25, longestMs: 30_000 };
/** Somebody has to fix something first; when that is done, nobody tells us. */
const SECOND_LOOK_MS = 10 * 60_000;
/** For work that was told to stop to do so: a child process gets a signal, then a harder one. */
const ABORT_GRACE_MS = 5_000;

const NOBODY: Share = { namespaces: [''] };
const NO_LIMITS = { forAll: Infinity, perHost: Infinity };

const NO_METRICS: QueueMetrics = {
  depth: () => undefined,
  added: () => undefined,
  latency: () => undefined,
  workDuration: () => undefined,
  retries: () => undefined,
  result: () => undefined,
};

/**
 * Keys waiting for a reconciler, with client-go's contract: adding a key that already waits changes nothing,
 * a key that is added while it is worked on is worked on once more afterwards, and no key is ever worked on
 * twice at the same time. Keys wait from the first `add`; work begins with `start`, which says how: until then, whoever does
 * the work may be built, and know the queue already. Namespaces and hosts take turns, and none of them can have all that may
 * run at once.
 *
 * This is the one place that turns the outcome of a pass into a retry, a log line and a metric.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #metrics: QueueMetrics;
  readonly #line: FairLine;
  readonly #failures: KeyBackoff;
  readonly #conflicts = createKeyBackoff(CONFLICT_BACKOFF);
  readonly #retryRates: RetryRates;
  readonly #delays: Delays;
  /** Keys that need a pass, with the time since when. */
  readonly #dirty = new Map<string, number>();
  /** Keys in a pass, with the time since when. */
  readonly #processing = new Map<string, number>();
  readonly #abort = new AbortController();
  readonly #idleListeners = new Set<() => void>();
  #concurrency: number;
  #isShuttingDown = false;
  /** Passes that need nobody else follow one another without a pause: thousands of them would keep all others waiting. */
  readonly #turn: LoopTurn;
  /** Undefined until work begins. */
  #workOn: Reconcile | undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#metrics = options.metrics ?? NO_METRICS;
    this.#concurrency = options.concurrency;
    this.#turn = new LoopTurn(options.clock, () => this.#startPasses());
    this.#line = new FairLine(() => (options.findShare ? planShareLimits(this.#concurrency) : NO_LIMITS));
    this.#failures = createKeyBackoff(options.backoff ?? BACKOFF);
    this.#retryRates = new RetryRates({ ...(options.retryRate ?? RETRY_RATE), clock: options.clock });
    this.#delays = createDelays({ clock: options.clock, onDue: (key) => this.add(key) });
  }

  /** Begins work; keys added before have been waiting. */
  start(reconcile: Reconcile): void {
    this.#workOn = reconcile;
    this.#startPasses();
  }

  /** The key needs a pass, now or right after the one that runs. Does nothing once shutting down. */
  add(key: string): void {
    if (this.#isShuttingDown || this.#dirty.has(key)) {
      return;
    }
    this.#dirty.set(key, this.#options.clock.monotonicMs());
    this.#metrics.added();
    if (!this.#processing.has(key)) {
      this.#enqueue(key);
    }
  }

  /** Somebody else wants the key as well: it comes with the next turn of any of them. */
  widen(key: string): void {
    this.#line.widen(key, this.#findShare(key));
    this.#startPasses();
  }

  /** Like `add`, later. A key has one appointment at most, and it is only ever moved to an earlier time. */
  addAfter(key: string, delayMs: number): void {
    if (delayMs <= 0) {
      this.add(key);
    } else if (!this.#isShuttingDown) {
      this.#delays.schedule(key, delayMs);
    }
  }

  /** Nobody wants the key any more: what was to come later does not come. What waits already gets its turn. */
  forget(key: string): void {
    this.#delays.cancel(key);
    this.#forgetFailures(key);
  }

  /** Takes effect as passes begin and end; running ones are not interrupted. */
  setConcurrency(concurrency: number): void {
    this.#concurrency = concurrency;
    this.#startPasses();
  }

  /** Keys that wait for a worker. */
  get depth(): number {
    return this.#line.size;
  }

  get running(): number {
    return this.#processing.size;
  }

  /** Age of the oldest pass that has not ended, for a health check. */
  longestRunningMs(): number {
    const [startedAtMs] = this.#processing.values();
    return startedAtMs === undefined ? 0 : this.#options.clock.monotonicMs() - startedAtMs;
  }

  /**
   * Refuses new keys, drops waiting ones (the next leader finds them again) and lets running passes finish
   * until the deadline; then aborts them. True when all had finished by themselves.
   */
  async drain(deadlineMs: number): Promise<boolean> {
    this.#refuse();
    if (await this.#isIdleWithin(deadlineMs)) {
      return true;
    }
    this.#options.log.warn(
      { queue: this.#options.name, running: [...this.#processing.keys()] },
      'ending work that did not finish in time',
    );
    this.#abort.abort();
    await this.#isIdleWithin(ABORT_GRACE_MS);
    return false;
  }

  /** Ends everything at once, for when the lease is lost. */
  shutDown(): void {
    this.#refuse();
    this.#abort.abort();
  }

  #refuse(): void {
    this.#isShuttingDown = true;
    this.#turn.cancel();
    this.#delays.clear();
    this.#line.clear();
    this.#dirty.clear();
    this.#metrics.depth(0);
  }

  async #isIdleWithin(deadlineMs: number): Promise<boolean> {
    if (this.#processing.size > 0) {
      const settled = new AbortController();
      const onIdle = (): void => settled.abort();
      this.#idleListeners.add(onIdle);
      await wait(deadlineMs, settled.signal);
      this.#idleListeners.delete(onIdle);
    }
    return this.#processing.size === 0;
  }

  #findShare(key: string): Share {
    return this.#options.findShare?.(key) ?? NOBODY;
  }

  #enqueue(key: string): void {
    this.#line.put(key, this.#findShare(key));
    this.#metrics.depth(this.depth);
    this.#startPasses();
  }

  #startPasses(): void {
    while (this.#workOn && this.#processing.size < this.#concurrency) {
      const turn = this.depth === 0 || this.#turn.isOver() ? undefined : this.#line.take();
      if (!turn) {
        return;
      }
      void this.#pass(turn, this.#workOn);
    }
  }

  /** Never rejects. */
  async #pass({ key, namespace }: Turn, workOn: Reconcile): Promise<void> {
    const { clock } = this.#options;
    const startedAtMs = clock.monotonicMs();
    this.#metrics.latency((startedAtMs - (this.#dirty.get(key) ?? startedAtMs)) / 1000);
    this.#processing.set(key, startedAtMs);
    this.#dirty.delete(key);
    this.#metrics.depth(this.depth);
    const outcome = await this.#reconcile(key, workOn);
    const durationMs = clock.monotonicMs() - startedAtMs;
    this.#metrics.workDuration(durationMs / 1000);
    this.#metrics.result(outcome.result);
    // While the key still counts as worked on, so that looking again at once does not start a second pass.
    this.#follow({ key, namespace }, outcome);
    this.#processing.delete(key);
    this.#line.done(key);
    if (this.#dirty.has(key)) {
      this.#enqueue(key);
    }
    this.#startPasses();
    if (this.#processing.size === 0) {
      for (const onIdle of this.#idleListeners) {
        onIdle();
      }
    }
  }

  /** Runs one pass, logs how it failed; never rejects. */
  async #reconcile(key: string, workOn: Reconcile): Promise<Outcome> {
    const { clock, log, name } = this.#options;
    try {
      return judgeResult(await workOn(key, this.#abort.signal));
    } catch (error) {
      const outcome = judgeError(error, { nowMs: clock.nowMs(), stopping: this.#abort.signal.aborted });
      const facts = { queue: name, key, err: error, attempt: this.#failures.failures(key) + 1 };
      switch (outcome.result) {
        case 'retry':
          log.warn(facts, 'will retry');
          break;
        case 'gave_up':
          log.error(facts, 'cannot be done as things are, looked at again later');
          break;
        case 'bug':
          log.error(facts, 'unexpected failure, will retry');
          break;
        case 'conflict':
        case 'stopped':
        case 'success':
        case 'look_again':
          log.debug(facts, outcome.result === 'stopped' ? 'stopped' : 'changed meanwhile, looking again');
      }
      return outcome;
    }
  }

  #follow({ key, namespace }: Turn, outcome: Outcome): void {
    switch (outcome.result) {
      case 'conflict':
        this.#retry({ key, namespace }, this.#conflicts.nextMs(key));
        break;
      case 'retry':
      case 'bug':
        this.#retry({ key, namespace }, Math.max(this.#failures.nextMs(key), outcome.notBeforeMs));
        break;
      case 'look_again':
        this.#forgetFailures(key);
        this.addAfter(key, outcome.afterMs);
        break;
      case 'gave_up':
        this.#forgetFailures(key);
        this.addAfter(key, SECOND_LOOK_MS);
        break;
      case 'success':
      case 'stopped':
        this.#forgetFailures(key);
    }
  }

  #retry({ key, namespace }: Turn, delayMs: number): void {
    this.#metrics.retries();
    this.addAfter(key, Math.max(delayMs, this.#retryRates.reserveMs(namespace)));
  }

  #forgetFailures(key: string): void {
    this.#failures.forget(key);
    this.#conflicts.forget(key);
  }
}
