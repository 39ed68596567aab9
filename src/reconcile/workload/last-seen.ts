/** Remembers one text for every key, to tell what is new. */
export class LastSeen {
  readonly #texts = new Map<string, string>();

  /** True for a text that is not the one of the last time; with undefined the key is forgotten. */
  isNew(key: string, text: string | undefined): boolean {
    if (text === undefined) {
      this.#texts.delete(key);
      return false;
    }
    const isNew = this.#texts.get(key) !== text;
    this.#texts.set(key, text);
    return isNew;
  }
}
