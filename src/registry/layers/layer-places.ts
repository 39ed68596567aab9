import type { Layer } from '../manifests/listed-layers.ts';

/** A repository of the backup that has a layer. */
export interface LayerPlace {
  readonly repository: string;
  readonly sizeBytes: number;
}

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
  readonly #lists = new Map<string, Map<string, LayerPlace>>();
  readonly #mostBytes: number;
  #bytes = 0;

  constructor(mostBytes = MOST_BYTES) {
    this.#mostBytes = mostBytes;
  }

  learn({ route, namespace }: LayerOwner, repository: string, layers: readonly Layer[]): void {
    const list = this.#lists.get(namespace) ?? new Map<string, LayerPlace>();
    this.#lists.set(namespace, list);
    for (const { digest, sizeBytes } of layers) {
      const key = toKey(route, digest);
      this.#drop(namespace, key);
      list.set(key, { repository, sizeBytes });
      this.#bytes += estimateBytes(key, repository);
    }
    this.#shrink();
  }

  /** What the namespace itself has learned counts first. */
  find({ route, namespace }: LayerOwner, digest: string): LayerPlace | undefined {
    const key = toKey(route, digest);
    const own = this.#lists.get(namespace);
    const place = own?.get(key);
    if (own && place) {
      own.delete(key);
      own.set(key, place);
      return place;
    }
    return [...this.#lists.values()].map((list) => list.get(key)).find((found) => found !== undefined);
  }

  /** The repository does not have it, whoever says so. */
  forget(route: string, digest: string, repository: string): void {
    const key = toKey(route, digest);
    for (const [namespace, list] of this.#lists) {
      if (list.get(key)?.repository === repository) {
        this.#drop(namespace, key);
      }
    }
  }

  #drop(namespace: string, key: string): void {
    const list = this.#lists.get(namespace);
    const place = list?.get(key);
    if (place) {
      list?.delete(key);
      this.#bytes -= estimateBytes(key, place.repository);
    }
  }

  #shrink(): void {
    while (this.#bytes > this.#mostBytes) {
      const [longest] = [...this.#lists].toSorted(([, a], [, b]) => b.size - a.size);
      const [namespace = '', list] = longest ?? [];
      const [oldest] = list?.keys() ?? [];
      if (oldest === undefined) {
        return;
      }
      this.#drop(namespace, oldest);
    }
    for (const [namespace, list] of this.#lists) {
      if (list.size === 0) {
        this.#lists.delete(namespace);
      }
    }
  }
}

function toKey(route: string, digest: string): string {
  return `${route} ${digest}`;
}

function estimateBytes(key: string, repository: string): number {
  return key.length + repository.length + 100;
}
