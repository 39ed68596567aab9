/** Whoever deploys one workload after the other waits for none of them all the time. */
const MOMENT_MS = 60_000;

/** Namespaces that wanted a place a moment ago: their share is kept for them. */
export class ActiveNamespaces {
  readonly #nowMs: () => number;
  readonly #seenAtMs = new Map<string, number>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  note(namespace: string): void {
    // Whoever was seen last comes last.
    this.#seenAtMs.delete(namespace);
    this.#seenAtMs.set(namespace, this.#nowMs());
  }

  list(): Iterable<string> {
    const oldestMs = this.#nowMs() - MOMENT_MS;
    for (const [namespace, atMs] of this.#seenAtMs) {
      if (atMs > oldestMs) {
        break;
      }
      this.#seenAtMs.delete(namespace);
    }
    return this.#seenAtMs.keys();
  }
}
