import { randomUUID } from 'node:crypto';

import type { Logger } from 'pino';

import { type Clock, wait } from '../../clock.ts';
import { ControllerError } from '../../errors.ts';
import type { Connection } from '../connection/api-client.ts';
import { createDeadline } from '../connection/deadline.ts';
import { LeaseCandidate } from './lease-candidate.ts';
import { createLeaseStore } from './lease.ts';

/** A write was about to be sent without a lease that is surely ours. */
export class NotLeaderError extends ControllerError {
  override readonly name = 'NotLeaderError';
  override readonly retryable = true;
  override readonly reason = 'NotLeader';
}

interface Times {
  /** How long others leave a lease alone that is not renewed. */
  readonly leaseDurationMs: number;
  /** How long to try to renew before giving up; shorter than the lease, so that we know first. */
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
}

const TIMES: Times = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 };

export interface LeaderElectionOptions extends Partial<Times> {
  readonly connection: Pick<Connection, 'request'>;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** Annotation of the Lease for what a leader leaves to the next one. */
  readonly memoKey: string;
  /** Must be unique to this process: whoever has the same identity is taken for us. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
  /** Must return at once; the signal is aborted as soon as leadership ends, for whatever reason. */
  readonly onStartedLeading: (signal: AbortSignal) => void;
  /** The lease was lost, not released: the process should end. */
  readonly onLost: () => void;
}

/** At most one of many processes leads, as far as that can be known: every write needs a precondition as well. */
export interface LeaderElection {
  /** Tries to lead, then leads; returns when the lease is lost, released, or the signal aborted. Once. */
  run(signal: AbortSignal): Promise<void>;
  /**
   * Stops and hands the lease over, so that another process need not wait for it to run out. Only to be called
   * when everything that needed the lease has ended. Never throws.
   */
  release(): Promise<void>;
  isLeader(): boolean;
  /** True while nobody else can have the lease; to be asked right before every write. */
  mayWrite(): boolean;
  /** @throws {NotLeaderError} unless `mayWrite()`. */
  assertMayWrite(): void;
  /** Identity of the last leader seen, for people; empty when there was none. */
  leader(): string;
  /** What the leader before has left, or this one since; undefined: nothing. */
  memo(): string | undefined;
  /** Left to the next leader; written with the next renewal, and when the lease is released. Of no effect on a follower. */
  leave(memo: string): void;
  /** How long ago the lease began that we hold; undefined when we do not lead. */
  renewalAgeMs(): number | undefined;
}

/** Others find a released lease within 2.8 s; client-go's candidates look every 2 to 4.4 s. */
const ACQUIRE_JITTER = 0.4;

/** Identity for this process: a restarted pod keeps its name, but not this. */
export function createIdentity(podName: string): string {
  return `${podName}_${randomUUID()}`;
}

class Election implements LeaderElection {
  readonly #options: LeaderElectionOptions & Times;
  readonly #candidate: LeaseCandidate;
  readonly #stop = new AbortController();
  readonly #leading = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #isLeading = false;

  constructor(options: LeaderElectionOptions) {
    this.#options = { ...TIMES, ...options };
    const { connection, namespace, name, memoKey, leaseDurationMs, renewDeadlineMs, retryPeriodMs } =
      this.#options;
    const isOrdered =
      leaseDurationMs > renewDeadlineMs && renewDeadlineMs > 1.2 * retryPeriodMs && retryPeriodMs > 0;
    if (!isOrdered || options.identity === '') {
      throw new RangeError(
        'lease duration > renew deadline > 1.2 * retry period > 0, and an identity, are needed',
      );
    }
    const timeoutMs = Math.max(1_000, renewDeadlineMs / 2);
    this.#candidate = new LeaseCandidate({
      ...this.#options,
      store: createLeaseStore({ connection, namespace, name, memoKey, timeoutMs }),
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    const stop = () => this.#stop.abort();
    if (signal.aborted) {
      stop();
    }
    signal.addEventListener('abort', stop, { once: true });
    this.#running = this.#acquireAndRenew(this.#stop.signal);
    await this.#running;
    signal.removeEventListener('abort', stop);
  }

  isLeader(): boolean {
    return this.#isLeading;
  }

  mayWrite(): boolean {
    return this.#isLeading && this.#candidate.ageMs() < this.#options.renewDeadlineMs;
  }

  assertMayWrite(): void {
    if (!this.mayWrite()) {
      throw new NotLeaderError(`not writing: the lease is not surely held by ${this.#options.identity}`);
    }
  }

  leader(): string {
    return this.#candidate.holder();
  }

  memo(): string | undefined {
    return this.#candidate.memo();
  }

  leave(memo: string): void {
    this.#candidate.leave(memo);
  }

  renewalAgeMs(): number | undefined {
    return this.#isLeading ? this.#candidate.ageMs() : undefined;
  }

  async release(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    const deadline = createDeadline(this.#options.renewDeadlineMs);
    try {
      while (!(await this.#candidate.tryRelease(deadline.signal))) {
        // A renewal of our own was still on its way.
      }
    } catch (err) {
      this.#options.log.warn({ err }, 'lease not released, it will run out');
    } finally {
      deadline.clear();
    }
  }

  async #acquireAndRenew(signal: AbortSignal): Promise<void> {
    const { log, identity, retryPeriodMs, onLost, onStartedLeading } = this.#options;
    if (!(await this.#acquire(signal))) {
      return;
    }
    this.#isLeading = true;
    log.info({ identity }, 'leading');
    onStartedLeading(this.#leading.signal);
    let isOurs = true;
    while (isOurs && !signal.aborted) {
      await wait(retryPeriodMs, signal);
      isOurs = signal.aborted || (await this.#renew(signal));
    }
    this.#isLeading = false;
    this.#leading.abort();
    if (!signal.aborted) {
      log.error({ identity, leader: this.leader() }, 'lease lost');
      onLost();
    }
  }

  async #acquire(signal: AbortSignal): Promise<boolean> {
    const { retryPeriodMs, random } = this.#options;
    while (!signal.aborted) {
      if (await this.#candidate.tryAcquire(signal)) {
        return !signal.aborted;
      }
      await wait(retryPeriodMs * (1 + random() * ACQUIRE_JITTER), signal);
    }
    return false;
  }

  /** One renewal, tried again until the deadline, or until somebody else turns out to have the lease. */
  async #renew(signal: AbortSignal): Promise<boolean> {
    const { renewDeadlineMs, retryPeriodMs } = this.#options;
    const deadline = createDeadline(renewDeadlineMs, signal);
    try {
      while (!deadline.signal.aborted) {
        if (await this.#candidate.tryRenew(deadline.signal)) {
          return true;
        }
        if (!this.#candidate.isHolder()) {
          return false;
        }
        await wait(retryPeriodMs, deadline.signal);
      }
      return false;
    } finally {
      deadline.clear();
    }
  }
}

/** client-go's algorithm on a `coordination.k8s.io/v1` Lease, with its default times (15, 10 and 2 s). */
export function createLeaderElection(options: LeaderElectionOptions): LeaderElection {
  return new Election(options);
}
