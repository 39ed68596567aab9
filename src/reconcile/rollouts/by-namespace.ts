const NONE: ReadonlyMap<string, never> = new Map<string, never>();

/** Values by workload key, and how many of them each namespace has. */
export class ByNamespace<T extends { readonly namespace: string }> {
  readonly #values = new Map<string, T>();
  readonly #byNamespace = new Map<string, Map<string, T>>();

  get size(): number {
    return this.#values.size;
  }

  get(key: string): T | undefined {
    return this.#values.get(key);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  set(key: string, value: T): void {
    if (this.#values.get(key) === value) {
      return;
    }
    this.delete(key);
    this.#values.set(key, value);
    const { namespace } = value;
    const ofNamespace = this.#byNamespace.get(namespace) ?? new Map<string, T>();
    this.#byNamespace.set(namespace, ofNamespace.set(key, value));
  }

  delete(key: string): void {
    const value = this.#values.get(key);
    if (!value) {
      return;
    }
    this.#values.delete(key);
    const ofNamespace = this.#byNamespace.get(value.namespace);
    ofNamespace?.delete(key);
    if (ofNamespace?.size === 0) {
      this.#byNamespace.delete(value.namespace);
    }
  }

  entries(): Iterable<[string, T]> {
    return this.#values.entries();
  }

  /** Namespaces that have one at least. */
  namespaces(): Iterable<string> {
    return this.#byNamespace.keys();
  }

  of(namespace: string): ReadonlyMap<string, T> {
    return this.#byNamespace.get(namespace) ?? NONE;
  }

  /** How many a namespace has, apart from that of a key. */
  countOthers(namespace: string, exceptKey?: string): number {
    const ofNamespace = this.of(namespace);
    return ofNamespace.size - Number(exceptKey !== undefined && ofNamespace.has(exceptKey));
  }
}
