import type { Logger } from 'pino';

import type { Clock } from '../../clock.ts';
import { ApiError } from '../../errors.ts';
import type { LeaseRecord, LeaseStore, ObservedLease } from './lease.ts';
import { formatMicroTime } from '../decode/micro-time.ts';

export interface LeaseCandidateOptions {
  readonly store: LeaseStore;
  readonly identity: string;
  readonly leaseDurationMs: number;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
}

/** Whether and how one process may take, keep and give back a Lease; when to try is up to the election. */
export class LeaseCandidate {
  readonly #options: LeaseCandidateOptions;
  #observed: { readonly lease: ObservedLease; readonly atMs: number } | undefined;
  /** When the request was sent that gave us the lease: others count from later. */
  #start = { monotonicMs: -Infinity, wallMs: -Infinity };
  /** Whether it was ever asked for: an answer that nobody waited for may have given it to us. */
  #mayHold = false;
  /** Only of the time that it is the holder: whoever waits has nothing to leave. */
  #memo: string | undefined;

  constructor(options: LeaseCandidateOptions) {
    this.#options = options;
  }

  /** Identity of the last holder seen; empty when there was none. */
  holder(): string {
    return this.#observed?.lease.record.holderIdentity ?? '';
  }

  isHolder(): boolean {
    return this.holder() === this.#options.identity;
  }

  /** What the holder before has left, or what was left since. */
  memo(): string | undefined {
    return this.#memo ?? this.#observed?.lease.memo;
  }

  /** To be written with the next renewal; nothing is left by one that does not hold the lease. */
  leave(memo: string): void {
    if (this.isHolder()) {
      this.#memo = memo;
    }
  }

  ageMs(): number {
    const { clock } = this.#options;
    // A suspended machine stops the monotonic clock, but not the others that wait for our lease to end.
    return Math.max(clock.monotonicMs() - this.#start.monotonicMs, clock.nowMs() - this.#start.wallMs);
  }

  /** Takes the lease if it is free, or has run out. Never throws. */
  async tryAcquire(signal: AbortSignal): Promise<boolean> {
    try {
      const lease = await this.#options.store.get(signal);
      if (lease) {
        this.#observe(lease);
      }
      const isTaken =
        lease !== undefined && this.holder() !== '' && !this.isHolder() && this.#isObservedValid();
      return isTaken ? false : await this.#take(lease, signal);
    } catch (err) {
      this.#explain(err, signal);
      return false;
    }
  }

  /** Keeps the lease, unless somebody else has had it meanwhile. Never throws. */
  async tryRenew(signal: AbortSignal): Promise<boolean> {
    if (this.isHolder() && this.#isObservedValid()) {
      try {
        return await this.#take(this.#observed?.lease, signal);
      } catch (err) {
        if (signal.aborted) {
          return false;
        }
        this.#options.log.debug({ err }, 'lease not renewed at once, looking who has it');
      }
    }
    try {
      const lease = await this.#options.store.get(signal);
      if (lease) {
        this.#observe(lease);
      }
      return this.isHolder() ? await this.#take(lease, signal) : false;
    } catch (err) {
      this.#explain(err, signal);
      return false;
    }
  }

  /**
   * Gives the lease back if it is ours; false when it changed meanwhile, so that it has to be tried again.
   *
   * @throws {ApiError}
   */
  async tryRelease(signal: AbortSignal): Promise<boolean> {
    const { store, clock, identity, log } = this.#options;
    const lease = this.#mayHold ? await store.get(signal) : undefined;
    if (lease?.record.holderIdentity !== identity) {
      return true;
    }
    const now = formatMicroTime(clock.nowMs());
    const free = {
      ...lease.record,
      holderIdentity: '',
      leaseDurationSeconds: 1,
      renewTime: now,
      acquireTime: now,
    };
    try {
      this.#observed = {
        lease: await store.update(lease, { record: free, memo: this.#memo }, signal),
        atMs: clock.monotonicMs(),
      };
      log.info({ identity }, 'lease released');
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) {
        return false;
      }
      throw error;
    }
  }

  async #take(lease: ObservedLease | undefined, signal: AbortSignal): Promise<true> {
    const { store, clock } = this.#options;
    const start = { monotonicMs: clock.monotonicMs(), wallMs: clock.nowMs() };
    const record = this.#nextRecord(lease?.record, start.wallMs);
    this.#mayHold = true;
    const taken = lease
      ? await store.update(lease, { record, memo: this.#memo }, signal)
      : await store.create(record, signal);
    this.#start = start;
    this.#observed = { lease: taken, atMs: start.monotonicMs };
    return true;
  }

  #nextRecord(old: LeaseRecord | undefined, wallMs: number): LeaseRecord {
    const { identity, leaseDurationMs } = this.#options;
    const now = formatMicroTime(wallMs);
    const isRenewal = old?.holderIdentity === identity;
    return {
      holderIdentity: identity,
      // Rounded up: others may wait longer than we count on, never shorter.
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      renewTime: now,
      acquireTime: isRenewal ? old.acquireTime : now,
      leaseTransitions: old ? old.leaseTransitions + (isRenewal ? 0 : 1) : 0,
    };
  }

  /** The time of a change is when we saw it: clocks of other nodes are never looked at. */
  #observe(lease: ObservedLease): void {
    const { clock, log, identity } = this.#options;
    const { holderIdentity } = lease.record;
    if (holderIdentity !== this.holder() && holderIdentity !== '' && holderIdentity !== identity) {
      log.info({ leader: holderIdentity }, 'leader seen');
    }
    const known = this.#observed;
    const isNews = lease.fingerprint !== known?.lease.fingerprint;
    this.#observed = { lease, atMs: known && !isNews ? known.atMs : clock.monotonicMs() };
    if (!this.isHolder()) {
      this.#memo = undefined;
    }
  }

  #isObservedValid(): boolean {
    if (!this.#observed) {
      return false;
    }
    const { lease, atMs } = this.#observed;
    return atMs + lease.record.leaseDurationSeconds * 1000 > this.#options.clock.monotonicMs();
  }

  #explain(err: unknown, signal: AbortSignal): void {
    if (!signal.aborted) {
      this.#options.log[this.isHolder() ? 'warn' : 'debug'](
        { err },
        'lease not acquired or renewed, will retry',
      );
    }
  }
}
