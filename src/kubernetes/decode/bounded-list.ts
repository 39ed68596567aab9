import { TooLargeError } from '../../errors.ts';

/** Room for 5,000 pods of three containers, one on every node of the largest clusters. */
export const MOST_LISTED_BYTES = 8 * 1_024 * 1_024;

/** Of an object or an array, and of each field or element of it: rather too much than too little. */
const OBJECT_BYTES = 100;
const FIELD_BYTES = 20;
const CHARACTER_BYTES = 2;

/**
 * Objects that are read for one decision. They mostly say the same, as the pods of one workload do: a text is kept once,
 * however many have it.
 */
export class BoundedList<T> {
  readonly items: T[] = [];
  readonly #what: string;
  readonly #mostBytes: number;
  readonly #texts = new Map<string, string>();
  #bytes = 0;

  constructor({ what, mostBytes }: { readonly what: string; readonly mostBytes: number }) {
    this.#what = what;
    this.#mostBytes = mostBytes;
  }

  /** @throws {TooLargeError} */
  add(item: T): void {
    this.items.push(this.#share(item) as T);
    if (this.#bytes > this.#mostBytes) {
      const mebibytes = this.#mostBytes / 1_024 / 1_024;
      throw new TooLargeError(
        `its ${this.#what} take more than the ${mebibytes} MiB of memory that they may take here`,
      );
    }
  }

  #share(value: unknown): unknown {
    if (typeof value === 'string') {
      return this.#shareText(value);
    }
    if (typeof value !== 'object' || value === null) {
      return value;
    }
    const fields = Object.entries(value).map(([key, field]) => [key, this.#share(field)] as const);
    this.#bytes += OBJECT_BYTES + fields.length * FIELD_BYTES;
    return Array.isArray(value) ? fields.map(([, field]) => field) : Object.fromEntries(fields);
  }

  #shareText(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) {
      return known;
    }
    this.#texts.set(text, text);
    this.#bytes += text.length * CHARACTER_BYTES;
    return text;
  }
}
