/** In which namespaces a workload runs from the backup. Forging that helps nobody beyond their own namespace. */
export class ProvenNamespaces {
  readonly #counts = new Map<string, number>();
  readonly #namespaces = new Map<string, string>();

  has(namespace: string): boolean {
    return this.#counts.has(namespace);
  }

  /** Returns whether the namespace is proven only by this. */
  observe(key: string, namespace: string, runsCopy: boolean): boolean {
    if (!runsCopy) {
      this.forget(key);
      return false;
    }
    if (this.#namespaces.has(key)) {
      return false;
    }
    const count = this.#counts.get(namespace) ?? 0;
    this.#namespaces.set(key, namespace);
    this.#counts.set(namespace, count + 1);
    return count === 0;
  }

  forget(key: string): void {
    const namespace = this.#namespaces.get(key);
    if (namespace === undefined) {
      return;
    }
    this.#namespaces.delete(key);
    const count = (this.#counts.get(namespace) ?? 0) - 1;
    if (count > 0) {
      this.#counts.set(namespace, count);
    } else {
      this.#counts.delete(namespace);
    }
  }
}
