import { setTimeout as sleep } from 'node:timers/promises';
import type { Kube, ListQuery } from './kube.ts';
import type { KubeObject } from './objects.ts';

export interface FollowHandlers<T> {
  /** The object as it is now; called again whenever it changes, and at times when it does not. */
  onObject(object: T): void;
  onGone(object: T): void;
}

const RETRY_MS = 200;

/** Tells about all objects of a query until the signal aborts, whatever happens to the API server meanwhile. */
export async function followObjects<T extends KubeObject>(
  source: { readonly kube: Kube; readonly query: ListQuery },
  handlers: FollowHandlers<T>,
  signal: AbortSignal,
): Promise<void> {
  const known = new Map<string, T>();
  while (!signal.aborted) {
    try {
      await followOnce(source, { known, handlers }, signal);
    } catch {
      // The API server is away, or has forgotten the version that we watched from: list again.
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

interface Following<T> {
  readonly known: Map<string, T>;
  readonly handlers: FollowHandlers<T>;
}

async function followOnce<T extends KubeObject>(
  { kube, query }: { readonly kube: Kube; readonly query: ListQuery },
  { known, handlers }: Following<T>,
  signal: AbortSignal,
): Promise<never> {
  const page = await kube.listPage<T>(query);
  const listed = new Set(page.items.map(identityOf));
  for (const [identity, object] of known) {
    if (!listed.has(identity)) {
      known.delete(identity);
      handlers.onGone(object);
    }
  }
  const remember = (object: T): void => {
    known.set(identityOf(object), object);
    handlers.onObject(object);
  };
  page.items.map(remember);

  let { resourceVersion } = page.metadata;
  for (;;) {
    for await (const event of kube.watch<T>({ ...query, resourceVersion }, signal)) {
      if (event.type === 'ERROR') {
        throw new Error(event.object.message ?? 'watch failed');
      }
      resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
      if (event.type === 'DELETED') {
        known.delete(identityOf(event.object));
        handlers.onGone(event.object);
      } else if (event.type !== 'BOOKMARK') {
        remember(event.object);
      }
    }
    signal.throwIfAborted();
  }
}

function identityOf({ metadata }: KubeObject): string {
  return metadata.uid ?? `${metadata.namespace}/${metadata.name}`;
}
