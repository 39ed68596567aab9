import type { NamespaceLine, Waiter, WaiterFacts } from './choose-next.ts';
import type { Risk } from './turns.ts';

interface Line extends NamespaceLine {
  restores: number;
  readonly byRisk: Map<Risk, Map<string, Waiter>>;
}

/** Workloads that wait for their turn, in such an order that who comes next is found without looking at all of them. */
export class WaitingLine {
  readonly #waiters = new Map<string, Waiter>();
  readonly #lines = new Map<string, Line>();
  #count = 0;

  get size(): number {
    return this.#waiters.size;
  }

  /** Whoever waits already keeps its place. */
  add(facts: WaiterFacts): void {
    const { key, namespace, risk, purpose } = facts;
    const before = this.#waiters.get(key);
    if (before?.risk === risk && before.purpose === purpose) {
      return;
    }
    this.delete(key);
    this.#count += 1;
    const waiter = { ...facts, place: before?.place ?? this.#count };
    this.#waiters.set(key, waiter);
    const line = this.#lines.get(namespace) ?? { restores: 0, byRisk: new Map<Risk, Map<string, Waiter>>() };
    line.restores += Number(purpose === 'restore');
    line.byRisk.set(risk, (line.byRisk.get(risk) ?? new Map<string, Waiter>()).set(key, waiter));
    this.#lines.set(namespace, line);
  }

  delete(key: string): void {
    const waiter = this.#waiters.get(key);
    const line = waiter && this.#lines.get(waiter.namespace);
    if (!line) {
      return;
    }
    const { namespace, risk, purpose } = waiter;
    this.#waiters.delete(key);
    line.restores -= Number(purpose === 'restore');
    line.byRisk.get(risk)?.delete(key);
    if ([...line.byRisk.values()].every(({ size }) => size === 0)) {
      this.#lines.delete(namespace);
    }
  }

  /** By namespace; each has at least one. */
  list(): ReadonlyMap<string, NamespaceLine> {
    return this.#lines;
  }
}
