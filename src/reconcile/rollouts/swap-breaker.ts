/** Failed swaps in a row, of whatever workloads, after which the reason is looked for elsewhere than in them. */
const MOST_FAILURES = 3;
const STOP_MS = 3_600_000;

/**
 * Stops swapping altogether when one swap after the other fails: the backup, or the way of the nodes to it, is broken,
 * and every further try would hurt one more workload.
 */
export class SwapBreaker {
  /** Workload key to the time of its last failure, of the last hour. */
  readonly #failures = new Map<string, number>();
  /** What happened before is forgiven. */
  #countsFromMs = 0;

  noteFailure(key: string, atMs: number, nowMs: number): void {
    if (atMs > this.#countsFromMs && atMs > nowMs - STOP_MS) {
      this.#failures.set(key, Math.min(atMs, nowMs));
    }
  }

  /** The workload is gone, and what it shows with it. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Of a swap made at that time: only failures after it are in a row. */
  noteSuccess(atMs: number): void {
    this.#forgive(atMs);
  }

  /** The settings have changed: perhaps because of these failures. */
  reset(nowMs: number): void {
    this.#forgive(nowMs);
  }

  /** When swapping may go on; undefined when it is not stopped. */
  findStopEndMs(nowMs: number): number | undefined {
    for (const [key, atMs] of this.#failures) {
      if (atMs <= nowMs - STOP_MS) {
        this.#failures.delete(key);
      }
    }
    return this.#failures.size < MOST_FAILURES ? undefined : Math.max(...this.#failures.values()) + STOP_MS;
  }

  #forgive(untilMs: number): void {
    this.#countsFromMs = Math.max(this.#countsFromMs, untilMs);
    for (const [key, atMs] of this.#failures) {
      if (atMs <= this.#countsFromMs) {
        this.#failures.delete(key);
      }
    }
  }
}
