import type { Waiter } from './turns.ts';

/** Workloads that wait for their turn, who has waited longest first. */
export class WaitingLine {
  readonly #waiters = new Map<string, Waiter>();
  readonly #counts = new Map<string, number>();

  get size(): number {
    return this.#waiters.size;
  }

  /** Whoever waits already keeps its place. */
  add(waiter: Waiter): void {
    if (!this.#waiters.has(waiter.key)) {
      this.#counts.set(waiter.namespace, (this.#counts.get(waiter.namespace) ?? 0) + 1);
    }
    this.#waiters.set(waiter.key, waiter);
  }

  delete(key: string): void {
    const namespace = this.#waiters.get(key)?.namespace;
    if (namespace === undefined) {
      return;
    }
    this.#waiters.delete(key);
    const count = (this.#counts.get(namespace) ?? 0) - 1;
    if (count > 0) {
      this.#counts.set(namespace, count);
    } else {
      this.#counts.delete(namespace);
    }
  }

  list(): readonly Waiter[] {
    return [...this.#waiters.values()];
  }

  /** Each once. */
  namespaces(): Iterable<string> {
    return this.#counts.keys();
  }
}
