/** What is kept of an object. */
export interface CachedObject<T> {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly value: T;
  /** There was no room for all of it: another look may find more. */
  readonly isReduced?: true;
}

/** How much of one namespace is kept, so that none can fill the memory of all. */
export interface NamespaceShare<T> {
  /** Bytes that a kept object takes, with all that comes of it: the same whenever it is asked. */
  readonly weigh: (value: T) => number;
  /** Of all objects of one namespace. A sixteenth more is for objects that are reduced; beyond that, none is kept. */
  readonly mostBytes: number;
  /** What is kept of an object for which there is no room; nothing, when it is left out. */
  readonly reduce?: (value: T) => T;
}

function namespaceOf(key: string): string {
  return key.slice(0, Math.max(0, key.indexOf('/')));
}

/** Objects by key, of every namespace no more than its share. */
export class ObjectSet<T> {
  readonly #share: NamespaceShare<T> | undefined;
  readonly #objects = new Map<string, CachedObject<T>>();
  readonly #bytes = new Map<string, number>();
  /** By namespace, the bytes of the smallest object for which there was no room. */
  readonly #missing = new Map<string, number>();
  #hasRoomAgain = false;

  constructor(share: NamespaceShare<T> | undefined) {
    this.#share = share;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): CachedObject<T> | undefined {
    return this.#objects.get(key);
  }

  /** Some namespace has got room for an object that was not kept, or not all of it. */
  get hasRoomAgain(): boolean {
    return this.#hasRoomAgain;
  }

  keys(): Iterable<string> {
    return this.#objects.keys();
  }

  values(): T[] {
    return Array.from(this.#objects.values(), ({ value }) => value);
  }

  /** Keeps an object, or as much of it as there is room for. */
  set(key: string, object: CachedObject<T>): void {
    const beforeBytes = this.#weigh(this.#objects.get(key));
    const kept = this.#fit(key, object, (this.#bytes.get(namespaceOf(key)) ?? 0) - beforeBytes);
    if (kept) {
      this.#objects.set(key, kept);
    } else {
      this.#objects.delete(key);
    }
    this.#count(key, this.#weigh(kept) - beforeBytes);
  }

  delete(key: string): void {
    const object = this.#objects.get(key);
    if (object) {
      this.#objects.delete(key);
      this.#count(key, -this.#weigh(object));
    }
  }

  #weigh(object: CachedObject<T> | undefined): number {
    return object && this.#share ? this.#share.weigh(object.value) : 0;
  }

  /** `usedBytes`: by the other objects of its namespace. */
  #fit(key: string, object: CachedObject<T>, usedBytes: number): CachedObject<T> | undefined {
    if (!this.#share) {
      return object;
    }
    const { mostBytes, reduce } = this.#share;
    const bytes = this.#weigh(object);
    if (usedBytes + bytes <= mostBytes) {
      return object;
    }
    const namespace = namespaceOf(key);
    this.#missing.set(namespace, Math.min(bytes, this.#missing.get(namespace) ?? Infinity));
    const reduced = reduce && ({ ...object, value: reduce(object.value), isReduced: true } as const);
    return reduced && usedBytes + this.#weigh(reduced) <= mostBytes * (1 + 1 / 16) ? reduced : undefined;
  }

  #count(key: string, bytes: number): void {
    const namespace = namespaceOf(key);
    const sum = (this.#bytes.get(namespace) ?? 0) + bytes;
    if (sum > 0) {
      this.#bytes.set(namespace, sum);
    } else {
      this.#bytes.delete(namespace);
    }
    const missing = this.#missing.get(namespace) ?? Infinity;
    this.#hasRoomAgain ||= bytes < 0 && sum + missing <= (this.#share?.mostBytes ?? 0);
  }
}
