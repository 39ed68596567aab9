/** How many there are of each name; a name of which there is none is not remembered. */
export class Counts {
  readonly #counts = new Map<string, number>();

  constructor(names: Iterable<string> = []) {
    for (const name of names) {
      this.add(name);
    }
  }

  /** Names of which there is at least one. */
  get size(): number {
    return this.#counts.size;
  }

  get(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  names(): Iterable<string> {
    return this.#counts.keys();
  }

  add(name: string): void {
    this.#counts.set(name, this.get(name) + 1);
  }

  remove(name: string): void {
    const count = this.get(name) - 1;
    if (count > 0) {
      this.#counts.set(name, count);
    } else {
      this.#counts.delete(name);
    }
  }

  clear(): void {
    this.#counts.clear();
  }
}
