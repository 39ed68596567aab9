/**
 * Which images this process has written into which workload by its last swap. Only when those have to be taken out again
 * has a swap failed: the record of the workload tells of swaps that nobody has made, if somebody wants it to. Swaps of an
 * earlier process are not known, because only records tell of them.
 */
export class OwnSwaps {
  readonly #images = new Map<string, ReadonlySet<string>>();

  note(key: string, images: readonly string[]): void {
    this.#images.set(key, new Set(images));
  }

  /** Whether these images are of our last swap, which counts once. */
  takeBack(key: string, images: readonly string[]): boolean {
    const own = this.#images.get(key);
    const isOwn = own !== undefined && images.length > 0 && images.every((image) => own.has(image));
    if (isOwn) {
      this.#images.delete(key);
    }
    return isOwn;
  }

  forget(key: string): void {
    this.#images.delete(key);
  }
}
