import type { Clock } from '../../clock.ts';
import { ApiError } from '../../errors.ts';
import type { Connection } from '../connection/api-client.ts';
import { asObject } from '../decode/json.ts';

/** A permission is seldom given or taken away, and every swap asks for it. */
const KEEP_MS = 60_000;

async function fetchPermission(
  connection: Pick<Connection, 'request'>,
  namespace: string,
  signal: AbortSignal,
): Promise<boolean> {
  const resourceAttributes = { namespace, verb: 'create', resource: 'pods' };
  try {
    const review = await connection.request({
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes },
      },
      signal,
    });
    return asObject(asObject(review)['status'])['allowed'] === true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) {
      return false;
    }
    throw error;
  }
}

/** Tells whether this process may create pods in a namespace, as it was up to a minute ago. A failure is not kept. */
export function createPodPermission(
  connection: Pick<Connection, 'request'>,
  clock: Clock,
): (namespace: string, signal: AbortSignal) => Promise<boolean> {
  const known = new Map<string, { readonly isAllowed: boolean; readonly untilMs: number }>();
  return async (namespace, signal) => {
    const nowMs = clock.monotonicMs();
    for (const [name, { untilMs }] of known) {
      if (untilMs <= nowMs) {
        known.delete(name);
      }
    }
    const kept = known.get(namespace);
    if (kept) {
      return kept.isAllowed;
    }
    const isAllowed = await fetchPermission(connection, namespace, signal);
    known.set(namespace, { isAllowed, untilMs: nowMs + KEEP_MS });
    return isAllowed;
  };
}
