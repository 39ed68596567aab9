/** Where a key waits: in the lane of each namespace, there in that of its host. */
export interface Place {
  readonly namespaces: readonly string[];
  readonly host: string;
}

export interface Found {
  readonly key: string;
  readonly namespace: string;
  readonly host: string;
}

function moveToEnd<Lane>(lanes: Map<string, Lane>, name: string, lane: Lane): void {
  lanes.delete(name);
  lanes.set(name, lane);
}

function findHost(
  byHost: Map<string, Set<string>>,
  may: (host: string) => boolean,
): Omit<Found, 'namespace'> | undefined {
  for (const [host, keys] of byHost) {
    const [key] = keys;
    if (key !== undefined && may(host)) {
      moveToEnd(byHost, host, keys);
      return { host, key };
    }
  }
  return undefined;
}

/** Keys that wait, by namespace and host. Whoever had a turn goes to the end. */
export class Lanes {
  readonly #byNamespace = new Map<string, Map<string, Set<string>>>();

  put(key: string, { namespaces, host }: Place): void {
    for (const namespace of namespaces) {
      const byHost = this.#byNamespace.get(namespace) ?? new Map<string, Set<string>>();
      this.#byNamespace.set(namespace, byHost);
      byHost.set(host, (byHost.get(host) ?? new Set()).add(key));
    }
  }

  remove(key: string, { namespaces, host }: Place): void {
    for (const namespace of namespaces) {
      this.#removeFrom(namespace, host, key);
    }
  }

  /** The first key of the next namespace and host that may have a turn, which stays where it is. */
  find(may: {
    readonly namespace: (name: string) => boolean;
    readonly host: (name: string) => boolean;
  }): Found | undefined {
    for (const [namespace, byHost] of this.#byNamespace) {
      const found = may.namespace(namespace) ? findHost(byHost, may.host) : undefined;
      if (found) {
        moveToEnd(this.#byNamespace, namespace, byHost);
        return { namespace, ...found };
      }
    }
    return undefined;
  }

  clear(): void {
    this.#byNamespace.clear();
  }

  #removeFrom(namespace: string, host: string, key: string): void {
    const byHost = this.#byNamespace.get(namespace);
    const keys = byHost?.get(host);
    keys?.delete(key);
    if (keys?.size === 0) {
      byHost?.delete(host);
    }
    if (byHost?.size === 0) {
      this.#byNamespace.delete(namespace);
    }
  }
}
