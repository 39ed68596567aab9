import { Agent } from 'node:https';
import { KubeError } from './kube-error.ts';
import {
  createKubeTransport,
  type KubeConnection,
  type KubeRequest,
  type WatchEvent,
} from './kube-transport.ts';
import type { AnyObject, KubeObject } from './objects.ts';

/** Which kind, where. Without a namespace: a cluster-wide kind, or all namespaces in a list. */
export interface KindReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
}

export interface ObjectReference extends KindReference {
  readonly name: string;
}

export interface ListQuery extends KindReference {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface KubeList<T> {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly T[];
}

const PATCH_TYPES = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

export interface PatchOptions {
  readonly type?: keyof typeof PATCH_TYPES;
  readonly subresource?: 'status' | 'scale';
  readonly fieldManager?: string;
  readonly force?: boolean;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string };
}

export interface WatchQuery extends ListQuery {
  readonly resourceVersion: string;
}

/**
 * A small client for tests. Shares no code with the controller on purpose: a test must not check code with itself.
 * All methods throw KubeError for any answer that is not a success.
 */
export interface Kube {
  /** Undefined when there is no such object. */
  get<T extends KubeObject = AnyObject>(reference: ObjectReference): Promise<T | undefined>;
  list<T extends KubeObject = AnyObject>(query: ListQuery): Promise<readonly T[]>;
  /** With the resource version to watch from. */
  listPage<T extends KubeObject = AnyObject>(query: ListQuery): Promise<KubeList<T>>;
  create<T extends KubeObject>(object: T): Promise<T>;
  /** Creates the object; if it exists already, merges the given fields into it. */
  apply<T extends KubeObject>(object: T): Promise<T>;
  patch<T extends KubeObject = AnyObject>(
    reference: ObjectReference,
    body: unknown,
    options?: PatchOptions,
  ): Promise<T>;
  /** Asking is enough: an object that is gone already is fine. */
  delete(reference: ObjectReference, options?: DeleteOptions): Promise<void>;
  /** Events until the API server ends the watch, or the signal does. */
  watch<T extends KubeObject>(query: WatchQuery, signal: AbortSignal): AsyncIterable<WatchEvent<T>>;
  /** Any request: `path` with leading slash; the body goes as JSON. */
  request<T>(request: KubeRequest): Promise<T>;
  close(): void;
}

export function createKube(connection: KubeConnection): Kube {
  const agent = new Agent({ keepAlive: true, maxSockets: 32, ca: connection.ca });
  const transport = createKubeTransport(connection, agent);
  const request = async <T>(call: KubeRequest): Promise<T> => transport.request(call);
  const kube: Kube = {
    request,
    async get(reference) {
      return notFoundAsUndefined(request({ method: 'GET', path: objectPath(reference) }));
    },
    async listPage(query) {
      return withKind(
        await request({ method: 'GET', path: collectionPath(query) + selectors(query) }),
        query,
      );
    },
    async list(query) {
      return (await kube.listPage(query)).items as never;
    },
    async create(object) {
      return request({ method: 'POST', path: collectionPath(placeOf(object)), body: object });
    },
    async apply(object) {
      try {
        return await kube.create(object);
      } catch (error) {
        if (error instanceof KubeError && error.reason === 'AlreadyExists') {
          return kube.patch(referenceTo(object), object);
        }
        throw error;
      }
    },
    async patch(reference, body, { type = 'merge', subresource, fieldManager = 'test', force } = {}) {
      const query = new URLSearchParams({ fieldManager, ...(force && { force: 'true' }) });
      const path = `${objectPath(reference)}${subresource ? `/${subresource}` : ''}?${query}`;
      return request({ method: 'PATCH', path, body, contentType: PATCH_TYPES[type] });
    },
    async delete(reference, options = {}) {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', ...options };
      await notFoundAsUndefined(request({ method: 'DELETE', path: objectPath(reference), body }));
    },
    watch: (query, signal) => {
      const { resourceVersion } = query;
      const parameters = new URLSearchParams({ watch: 'true', resourceVersion, allowWatchBookmarks: 'true' });
      return transport.watch(`${collectionPath(query)}${selectors(query, parameters)}`, signal);
    },
    close: () => agent.destroy(),
  };
  return kube;
}

export function referenceTo(object: KubeObject): ObjectReference {
  return { ...placeOf(object), name: object.metadata.name };
}

/** The API server leaves both out of the items of a list. */
function withKind<T>(page: KubeList<T>, { apiVersion, kind }: KindReference): KubeList<T> {
  return {
    ...page,
    items: page.items.map((item) => Object.assign(item as object, { apiVersion, kind }) as T),
  };
}

function placeOf({ apiVersion, kind, metadata: { namespace } }: KubeObject): KindReference {
  return { apiVersion, kind, ...(namespace !== undefined && { namespace }) };
}

function objectPath(reference: ObjectReference): string {
  return `${collectionPath(reference)}/${encodeURIComponent(reference.name)}`;
}

function collectionPath({ apiVersion, kind, namespace }: KindReference): string {
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${group}${namespace ? `/namespaces/${namespace}` : ''}/${pluralOf(kind)}`;
}

/** How Kubernetes itself forms them; holds for all built-in kinds but Endpoints. */
function pluralOf(kind: string): string {
  const lower = kind.toLowerCase();
  if (/(?:s|x|ch)$/.test(lower)) {
    return `${lower}es`;
  }
  return lower.endsWith('y') ? `${lower.slice(0, -1)}ies` : `${lower}s`;
}

function selectors({ labelSelector, fieldSelector }: ListQuery, parameters = new URLSearchParams()): string {
  if (labelSelector) {
    parameters.set('labelSelector', labelSelector);
  }
  if (fieldSelector) {
    parameters.set('fieldSelector', fieldSelector);
  }
  return parameters.size > 0 ? `?${parameters}` : '';
}

async function notFoundAsUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) {
      return undefined;
    }
    throw error;
  }
}
