import type { Layer } from '../manifests/listed-layers.ts';

/** A repository of the backup that has a layer. */
export interface LayerPlace {
  readonly repository: string;
  readonly sizeBytes: number;
}

/** Where a layer is, the last repository that it came to first. */
interface KnownPlaces {
  readonly repositories: readonly [string, ...string[]];
  readonly sizeBytes: number;
}

/** Of one layer: who has more than these takes it from one of them. */
const MOST_REPOSITORIES = 8;

/** Whose image it was in, and where from and to; the last two in one text. */
export interface LayerOwner {
  readonly route: string;
  readonly namespace: string;
}

/** Room for the layers of some thousand images: each takes about 250 bytes. */
const MOST_BYTES = 4 * 1024 * 1024;

/**
 * Which repository of the backup has which layer, learned from proven copies and kept in memory alone: a wrong one costs one
 * refused mount. Each namespace has its own list, and when there is no more room, the longest one loses what nobody has asked
 * for the longest: images without end push out only what their own namespace has learned.
 */
export class LayerPlaces {
  readonly #lists = new Map<string, Map<string, KnownPlaces>>();
  readonly #mostBytes: number;
  #bytes = 0;

  constructor(mostBytes = MOST_BYTES) {
    this.#mostBytes = mostBytes;
  }

  learn({ route, namespace }: LayerOwner, repository: string, layers: readonly Layer[]): void {
    for (const { digest, sizeBytes } of layers) {
      const key = toKey(route, digest);
      const others = (this.#lists.get(namespace)?.get(key)?.repositories ?? []).filter(
        (other) => other !== repository,
      );
      this.#put(namespace, key, {
        repositories: [repository, ...others.slice(0, MOST_REPOSITORIES - 1)],
        sizeBytes,
      });
    }
    this.#shrink();
  }

  /**
   * Where else a layer is than in a repository that wants it; `there` when it is there already. What the namespace itself has
   * learned counts first.
   */
  find(
    { route, namespace }: LayerOwner,
    { digest, wantedIn }: { readonly digest: string; readonly wantedIn: string },
  ): LayerPlace | 'there' | undefined {
    const key = toKey(route, digest);
    const own = this.#lists.get(namespace)?.get(key);
    if (own) {
      this.#put(namespace, key, own);
    }
    const known = own ?? this.#findOfOthers(key);
    return known?.repositories.includes(wantedIn)
      ? 'there'
      : known && { repository: known.repositories[0], sizeBytes: known.sizeBytes };
  }

  /** The repository does not have it, whoever says so. */
  forget(route: string, digest: string, repository: string): void {
    const key = toKey(route, digest);
    for (const [namespace, list] of this.#lists) {
      const { repositories = [], sizeBytes = 0 } = list.get(key) ?? {};
      const [first, ...others] = repositories.filter((other) => other !== repository);
      if (first === undefined) {
        this.#drop(namespace, key);
      } else if (others.length + 1 < repositories.length) {
        this.#put(namespace, key, { repositories: [first, ...others], sizeBytes });
      }
    }
  }

  #findOfOthers(key: string): KnownPlaces | undefined {
    for (const list of this.#lists.values()) {
      const known = list.get(key);
      if (known) {
        return known;
      }
    }
    return undefined;
  }

  /** As the one that was asked for last. */
  #put(namespace: string, key: string, known: KnownPlaces): void {
    this.#drop(namespace, key);
    const list = this.#lists.get(namespace) ?? new Map<string, KnownPlaces>();
    this.#lists.set(namespace, list.set(key, known));
    this.#bytes += estimateBytes(key, known);
  }

  #drop(namespace: string, key: string): void {
    const list = this.#lists.get(namespace);
    const known = list?.get(key);
    if (known) {
      list?.delete(key);
      this.#bytes -= estimateBytes(key, known);
      if (list?.size === 0) {
        this.#lists.delete(namespace);
      }
    }
  }

  #shrink(): void {
    while (this.#bytes > this.#mostBytes) {
      const namespace = this.#findLongest();
      const [oldest] = this.#lists.get(namespace)?.keys() ?? [];
      if (oldest === undefined) {
        return;
      }
      this.#drop(namespace, oldest);
    }
  }

  #findLongest(): string {
    let [longest, most] = ['', -1];
    for (const [namespace, { size }] of this.#lists) {
      [longest, most] = size > most ? [namespace, size] : [longest, most];
    }
    return longest;
  }
}

function toKey(route: string, digest: string): string {
  return `${route} ${digest}`;
}

function estimateBytes(key: string, { repositories }: KnownPlaces): number {
  return key.length + repositories.join('').length + 100;
}
