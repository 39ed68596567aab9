import { Counts } from '../../counts.ts';
import type { Waiter } from './turns.ts';

/** Workloads that wait for their turn, who has waited longest first. */
export class WaitingLine {
  readonly #waiters = new Map<string, Waiter>();
  readonly #namespaces = new Counts();

  get size(): number {
    return this.#waiters.size;
  }

  /** Whoever waits already keeps its place. */
  add(waiter: Waiter): void {
    if (!this.#waiters.has(waiter.key)) {
      this.#namespaces.add(waiter.namespace);
    }
    this.#waiters.set(waiter.key, waiter);
  }

  delete(key: string): void {
    const waiter = this.#waiters.get(key);
    if (waiter) {
      this.#waiters.delete(key);
      this.#namespaces.remove(waiter.namespace);
    }
  }

  list(): readonly Waiter[] {
    return [...this.#waiters.values()];
  }

  /** Each once. */
  namespaces(): Iterable<string> {
    return this.#namespaces.names();
  }
}
