import { type JsonObject, asObject, asText } from '../decode/json.ts';
import { type CachedObject, type NamespaceShare, ObjectSet } from './object-set.ts';

/** Key of an object with what to keep of it, or with nothing when it is not wanted. */
export interface ReadObject<T> {
  readonly key: string;
  readonly kept: CachedObject<T> | undefined;
}

/** Told after the cache has changed; must only note the key, because the rest of the change waits for it. */
export type OnChange<T> = (key: string, now: T | undefined, before: T | undefined) => void;

/** `namespace/name`, or the name alone for objects without a namespace. */
function objectKey(metadata: JsonObject): string | undefined {
  const name = asText(metadata['name']);
  const namespace = asText(metadata['namespace']);
  return name && namespace ? `${namespace}/${name}` : name;
}

function isUnchanged<T>(now: CachedObject<T> | undefined, before: CachedObject<T> | undefined): boolean {
  return (
    now?.uid === before?.uid &&
    now?.resourceVersion === before?.resourceVersion &&
    now?.isReduced === before?.isReduced
  );
}

/** Adds one event to a list that is being read. */
export function collect<T>(
  found: ObjectSet<T>,
  { type, object }: { readonly type: string; readonly object: ReadObject<T> | undefined },
): void {
  if (object?.kept && type !== 'DELETED') {
    found.set(object.key, object.kept);
  } else if (object) {
    found.delete(object.key);
  }
}

/** Objects by key as last seen, reduced by `project`; one that it answers with undefined is not kept. */
export class ObjectCache<T> {
  readonly #project: (object: unknown) => T | undefined;
  readonly #onChange: OnChange<T>;
  readonly #share: NamespaceShare<T> | undefined;
  #objects: ObjectSet<T>;

  constructor(options: {
    readonly project: (object: unknown) => T | undefined;
    readonly onChange: OnChange<T>;
    readonly share?: NamespaceShare<T> | undefined;
  }) {
    this.#project = options.project;
    this.#onChange = options.onChange;
    this.#share = options.share;
    this.#objects = this.createSet();
  }

  get size(): number {
    return this.#objects.size;
  }

  /** A new list would find more than is kept now. */
  get hasRoomAgain(): boolean {
    return this.#objects.hasRoomAgain;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key)?.value;
  }

  values(): T[] {
    return this.#objects.values();
  }

  /** For a list that is to replace what is known. */
  createSet(): ObjectSet<T> {
    return new ObjectSet(this.#share);
  }

  /** Undefined for what is no object. */
  read(object: unknown): ReadObject<T> | undefined {
    const metadata = asObject(asObject(object)['metadata']);
    const key = objectKey(metadata);
    const uid = asText(metadata['uid']);
    const resourceVersion = asText(metadata['resourceVersion']);
    if (!key || uid === undefined || resourceVersion === undefined) {
      return undefined;
    }
    const known = this.#objects.get(key);
    if (known?.uid === uid && known.resourceVersion === resourceVersion && known.isReduced !== true) {
      return { key, kept: known };
    }
    const value = this.#project(object);
    return { key, kept: value === undefined ? undefined : { uid, resourceVersion, value } };
  }

  set({ key, kept }: ReadObject<T>): void {
    const before = this.#objects.get(key);
    if (kept) {
      this.#objects.set(key, kept);
    } else {
      this.#objects.delete(key);
    }
    this.#tell(key, this.#objects.get(key), before);
  }

  /**
   * Makes the cache equal to a complete list, which it takes over: what is not in it is gone. Every step tells of one object;
   * nothing else may change the cache until the last of them is done.
   */
  *replace(next: ObjectSet<T>): Generator<void> {
    const previous = this.#objects;
    this.#objects = next;
    for (const key of previous.keys()) {
      if (!next.get(key)) {
        yield this.#tell(key, undefined, previous.get(key));
      }
    }
    for (const key of next.keys()) {
      yield this.#tell(key, next.get(key), previous.get(key));
    }
  }

  #tell(key: string, now: CachedObject<T> | undefined, before: CachedObject<T> | undefined): void {
    if (isUnchanged(now, before)) {
      return;
    }
    if (now && before && now.uid !== before.uid) {
      // Deleted and created again under the same name while nobody was looking.
      this.#onChange(key, undefined, before.value);
      this.#onChange(key, now.value, undefined);
      return;
    }
    this.#onChange(key, now?.value, before?.value);
  }
}
