import { type JsonObject, asObject, asText } from '../decode/json.ts';

/** What is kept of an object. */
export interface CachedObject<T> {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly value: T;
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
  return now?.uid === before?.uid && now?.resourceVersion === before?.resourceVersion;
}

/** Objects by key as last seen, reduced by `project`; one that it answers with undefined is not kept. */
export class ObjectCache<T> {
  readonly #project: (object: unknown) => T | undefined;
  readonly #onChange: OnChange<T>;
  #objects = new Map<string, CachedObject<T>>();

  constructor(options: {
    readonly project: (object: unknown) => T | undefined;
    readonly onChange: OnChange<T>;
  }) {
    this.#project = options.project;
    this.#onChange = options.onChange;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key)?.value;
  }

  values(): T[] {
    return Array.from(this.#objects.values(), ({ value }) => value);
  }

  /** Key of an object with what to keep of it, or with nothing when it is not wanted. */
  read(object: unknown): { readonly key: string; readonly kept: CachedObject<T> | undefined } | undefined {
    const metadata = asObject(asObject(object)['metadata']);
    const key = objectKey(metadata);
    const uid = asText(metadata['uid']);
    const resourceVersion = asText(metadata['resourceVersion']);
    if (!key || uid === undefined || resourceVersion === undefined) {
      return undefined;
    }
    const known = this.#objects.get(key);
    if (known?.uid === uid && known.resourceVersion === resourceVersion) {
      return { key, kept: known };
    }
    const value = this.#project(object);
    return { key, kept: value === undefined ? undefined : { uid, resourceVersion, value } };
  }

  set(object: unknown): void {
    const { key, kept } = this.read(object) ?? {};
    if (key === undefined) {
      return;
    }
    if (!kept) {
      this.#remove(key);
      return;
    }
    const before = this.#objects.get(key);
    this.#objects.set(key, kept);
    this.#tell(key, kept, before);
  }

  delete(object: unknown): void {
    const key = objectKey(asObject(asObject(object)['metadata']));
    if (key !== undefined) {
      this.#remove(key);
    }
  }

  /** Makes the cache equal to a complete list, which it takes over: what is not in it is gone. */
  replace(next: Map<string, CachedObject<T>>): void {
    const previous = this.#objects;
    this.#objects = next;
    for (const [key, before] of previous) {
      if (!next.has(key)) {
        this.#tell(key, undefined, before);
      }
    }
    for (const [key, now] of next) {
      this.#tell(key, now, previous.get(key));
    }
  }

  #remove(key: string): void {
    const before = this.#objects.get(key);
    this.#objects.delete(key);
    this.#tell(key, undefined, before);
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
