import { keepNewest } from '../../keep-newest.ts';

/** Of swaps in a namespace, or of namespaces in a row, after which the reason is looked for elsewhere than in the workloads. */
const MOST_FAILURES = 3;
const STOP_MS = 3_600_000;
/** In memory, and in what is left to the next leader; of one namespace only as many as it takes to stop it. */
const MOST_KEPT = 100;

export interface SwapFailure {
  readonly namespace: string;
  readonly atMs: number;
}

/** What is known of failed swaps: everything that a stop follows from. */
export interface FailureHistory {
  /** By workload key. */
  readonly failures: ReadonlyMap<string, SwapFailure>;
  /** When the last swap that succeeded was made: only failures after it are in a row. */
  readonly succeededAtMs: number;
}

/**
 * Stops swapping where one swap after the other fails, because every further try would hurt one more workload. Three of one
 * namespace stop only that one: it may be out of quota. Three namespaces in a row stop all: the backup, or the way of the
 * nodes to it, is broken. Only what this process has undone counts, or the leader before it: annotations are anybody's.
 */
export class SwapBreaker {
  /** The newest last. */
  readonly #failures = new Map<string, SwapFailure>();
  #succeededAtMs = 0;

  /** Of the leader before. */
  inherit({ failures, succeededAtMs }: FailureHistory, nowMs: number): void {
    this.#succeededAtMs = Math.min(succeededAtMs, nowMs);
    for (const [key, { namespace, atMs }] of failures) {
      this.#add(key, { namespace, atMs: Math.min(atMs, nowMs) });
    }
  }

  get history(): FailureHistory {
    return { failures: this.#failures, succeededAtMs: this.#succeededAtMs };
  }

  noteFailure(key: string, failure: SwapFailure): void {
    this.#add(key, failure);
  }

  /** Of a swap made at that time. It shows that the backup can be pulled from; of quotas, only that of its namespace. */
  noteSuccess({ namespace, atMs }: SwapFailure): void {
    this.#succeededAtMs = Math.max(this.#succeededAtMs, atMs);
    this.#forget((failure) => failure.namespace === namespace && failure.atMs <= atMs);
  }

  /** The settings have changed: perhaps because of these failures. */
  reset(): void {
    this.#failures.clear();
  }

  /** When swapping may go on in all namespaces; undefined when it is not stopped. */
  findStopEndMs(nowMs: number): number | undefined {
    const row = this.#listRecent(nowMs).filter(({ atMs }) => atMs > this.#succeededAtMs);
    return new Set(row.map(({ namespace }) => namespace)).size < MOST_FAILURES ? undefined : endOf(row);
  }

  /** The same of those namespaces in which swapping is stopped. */
  findNamespaceStops(nowMs: number): ReadonlyMap<string, number> {
    const byNamespace = Map.groupBy(this.#listRecent(nowMs), ({ namespace }) => namespace);
    const stopped = [...byNamespace].filter(([, failures]) => failures.length >= MOST_FAILURES);
    return new Map(stopped.map(([namespace, failures]) => [namespace, endOf(failures)]));
  }

  #listRecent(nowMs: number): readonly SwapFailure[] {
    this.#forget(({ atMs }) => atMs <= nowMs - STOP_MS);
    return [...this.#failures.values()];
  }

  /** The newest last. What is too much of one namespace is dropped of that one: it must not hide the others. */
  #add(key: string, failure: SwapFailure): void {
    this.#failures.delete(key);
    const ofNamespace = [...this.#failures].filter(([, { namespace }]) => namespace === failure.namespace);
    for (const [old] of ofNamespace.slice(0, 1 - MOST_FAILURES)) {
      this.#failures.delete(old);
    }
    keepNewest(this.#failures, [key, failure], MOST_KEPT);
  }

  #forget(isOver: (failure: SwapFailure) => boolean): void {
    for (const [key, failure] of this.#failures) {
      if (isOver(failure)) {
        this.#failures.delete(key);
      }
    }
  }
}

function endOf(failures: readonly SwapFailure[]): number {
  return Math.max(...failures.map(({ atMs }) => atMs)) + STOP_MS;
}
