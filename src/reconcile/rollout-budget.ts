import { findSwappedSlots, parseRecord } from '../workloads/record.ts';
import { isRolledOut } from '../workloads/rollout.ts';
import type { Workload } from '../workloads/workload.ts';

export interface RolloutBudgetOptions {
  readonly limits: () => { readonly maxRollouts: number; readonly timeoutMs: number };
  readonly nowMs: () => number;
  /** Called with the key of a workload that waited for a place and may try again. */
  readonly onFree: (workloadKey: string) => void;
}

/** True once the rollout that a patch has started is over. */
function hasRolledOut(workload: Workload, generation: number): boolean {
  return workload.rollout.generation >= generation && isRolledOut(workload);
}

/**
 * How many workloads roll out because of a swap. Derived from what the cluster shows (a swap is recorded on the
 * workload), so a restart or a new leader counts the same; a restore leaves no record, so
 * its place is held in memory, as that of a swap is before the reflector sees it.
 */
export class RolloutBudget {
  readonly #options: RolloutBudgetOptions;
  /** Workload key to the time its place is given up. */
  readonly #rolling = new Map<string, number>();
  readonly #reserved = new Map<string, { readonly generation: number; readonly untilMs: number }>();
  readonly #waiting = new Set<string>();

  constructor(options: RolloutBudgetOptions) {
    this.#options = options;
  }

  /** To be told of every change of a workload, and with undefined of its end. */
  observe(key: string, workload: Workload | undefined): void {
    const reserved = this.#reserved.get(key);
    if (!workload || (reserved && hasRolledOut(workload, reserved.generation))) {
      this.#reserved.delete(key);
    }
    const untilMs = workload ? this.#rollingUntilMs(workload) : undefined;
    if (untilMs === undefined) {
      this.#rolling.delete(key);
    } else {
      this.#rolling.set(key, untilMs);
    }
    if (!workload) {
      this.#waiting.delete(key);
    }
    this.#wakeWaiting();
  }

  isFree(): boolean {
    return this.#countFree() > 0;
  }

  /** Takes a place for the swap that is about to be made; false when there is none. */
  tryReserve(key: string, workload: Workload): boolean {
    if (!this.isFree()) {
      return false;
    }
    this.reserve(key, workload);
    return true;
  }

  /** Takes a place whether one is free or not. */
  reserve(key: string, workload: Workload): void {
    const untilMs = this.#options.nowMs() + this.#options.limits().timeoutMs;
    this.#reserved.set(key, { generation: workload.rollout.generation + 1, untilMs });
    this.#waiting.delete(key);
  }

  /** Gives a place back, because the swap was not made. */
  release(key: string): void {
    this.#reserved.delete(key);
    this.#wakeWaiting();
  }

  /** Asks to be called when a place gets free; first come, first served. */
  waitForPlace(key: string): void {
    this.#waiting.add(key);
  }

  countRolling(): number {
    this.#dropExpired();
    return new Set([...this.#rolling.keys(), ...this.#reserved.keys()]).size;
  }

  #rollingUntilMs(workload: Workload): number | undefined {
    if (isRolledOut(workload)) {
      return undefined;
    }
    const record = parseRecord(workload.annotations);
    const nowMs = this.#options.nowMs();
    const untilMs = record.swappedAtMs + this.#options.limits().timeoutMs;
    // Annotations are anybody's: neither a time to come nor a record of other images takes a place.
    const isOurs = record.swappedAtMs <= nowMs && findSwappedSlots(workload.slots, record).length > 0;
    return isOurs && untilMs > nowMs ? untilMs : undefined;
  }

  #countFree(): number {
    return this.#options.limits().maxRollouts - this.countRolling();
  }

  #dropExpired(): void {
    const nowMs = this.#options.nowMs();
    for (const [key, untilMs] of this.#rolling) {
      if (untilMs <= nowMs) {
        this.#rolling.delete(key);
      }
    }
    for (const [key, { untilMs }] of this.#reserved) {
      if (untilMs <= nowMs) {
        this.#reserved.delete(key);
      }
    }
  }

  #wakeWaiting(): void {
    if (this.#waiting.size === 0) {
      return;
    }
    for (const key of [...this.#waiting].slice(0, Math.max(0, this.#countFree()))) {
      this.#waiting.delete(key);
      this.#options.onFree(key);
    }
  }
}
