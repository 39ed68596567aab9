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
  /** Bytes that a kept object takes, with all that comes of it. */
  readonly weigh: (value: T) => number;
  /** Of all objects of one namespace. A sixteenth more is for objects that are reduced; beyond that, none is kept. */
  readonly mostBytes: number;
  /** What is kept of an object for which there is no room; nothing, when it is left out. */
  readonly reduce?: (value: T) => T;
}

interface Entry<T> {
  readonly kept: CachedObject<T>;
  readonly bytes: number;
}

function namespaceOf(key: string): string {
  return key.slice(0, Math.max(0, key.indexOf('/')));
}

/** Objects by key, of every namespace no more than its share. */
export class ObjectSet<T> {
  readonly #share: NamespaceShare<T> | undefined;
  readonly #entries = new Map<string, Entry<T>>();
  readonly #bytes = new Map<string, number>();
  /** By namespace, the bytes of the smallest object for which there was no room. */
  readonly #missing = new Map<string, number>();
  #hasRoomAgain = false;

  constructor(share: NamespaceShare<T> | undefined) {
    this.#share = share;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): CachedObject<T> | undefined {
    return this.#entries.get(key)?.kept;
  }

  /** Some namespace has got room for an object that was not kept, or not all of it. */
  get hasRoomAgain(): boolean {
    return this.#hasRoomAgain;
  }

  keys(): Iterable<string> {
    return this.#entries.keys();
  }

  values(): T[] {
    return Array.from(this.#entries.values(), ({ kept }) => kept.value);
  }

  /** Keeps an object, or as much of it as there is room for. */
  set(key: string, kept: CachedObject<T>): void {
    const beforeBytes = this.#entries.get(key)?.bytes ?? 0;
    const entry = this.#fit(key, kept, (this.#bytes.get(namespaceOf(key)) ?? 0) - beforeBytes);
    if (entry) {
      this.#entries.set(key, entry);
    } else {
      this.#entries.delete(key);
    }
    this.#count(key, (entry?.bytes ?? 0) - beforeBytes);
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry) {
      this.#entries.delete(key);
      this.#count(key, -entry.bytes);
    }
  }

  /** `usedBytes`: by the other objects of its namespace. */
  #fit(key: string, kept: CachedObject<T>, usedBytes: number): Entry<T> | undefined {
    if (!this.#share) {
      return { kept, bytes: 0 };
    }
    const { weigh, mostBytes, reduce } = this.#share;
    const bytes = weigh(kept.value);
    if (usedBytes + bytes <= mostBytes) {
      return { kept, bytes };
    }
    const namespace = namespaceOf(key);
    this.#missing.set(namespace, Math.min(bytes, this.#missing.get(namespace) ?? Infinity));
    const value = reduce?.(kept.value);
    const reducedBytes = value === undefined ? 0 : weigh(value);
    return value !== undefined && usedBytes + reducedBytes <= mostBytes * (1 + 1 / 16)
      ? { kept: { ...kept, value, isReduced: true }, bytes: reducedBytes }
      : undefined;
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
