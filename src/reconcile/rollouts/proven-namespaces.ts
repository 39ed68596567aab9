import { Counts } from '../../counts.ts';

/** In which namespaces a workload runs from the backup. Forging that helps nobody beyond their own namespace. */
export class ProvenNamespaces {
  readonly #proofs = new Counts();
  /** By key of the workload that proves it. */
  readonly #namespaces = new Map<string, string>();

  has(namespace: string): boolean {
    return this.#proofs.get(namespace) > 0;
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
    this.#namespaces.set(key, namespace);
    this.#proofs.add(namespace);
    return this.#proofs.get(namespace) === 1;
  }

  forget(key: string): void {
    const namespace = this.#namespaces.get(key);
    if (namespace !== undefined) {
      this.#namespaces.delete(key);
      this.#proofs.remove(namespace);
    }
  }
}
