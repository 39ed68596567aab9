import { ApiError } from '../../errors.ts';
import type { Connection } from '../../kubernetes/connection/api-client.ts';
import { ALL_PODS, PodIndex } from '../../kubernetes/pods/pod-index.ts';
import { listPages } from '../../kubernetes/reflector/list-pages.ts';
import type { PodStore } from '../../reconcile/ports.ts';
import { NO_WATCHED_PODS } from '../../reconcile/workload/watched-pods.ts';
import { formatWorkloadKey } from '../../workloads/kinds.ts';

/**
 * The pods of all workloads in one list, instead of one list for each of them. Whoever may not list the pods of all
 * namespaces lists those of each workload.
 *
 * @throws {ApiError}
 */
export async function fetchPods(connection: Connection): Promise<PodStore> {
  const index = new PodIndex();
  try {
    await listPages(connection, ALL_PODS, (raw) => {
      const made = index.read(raw);
      if (made) {
        index.add(made);
      }
    });
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) {
      return NO_WATCHED_PODS;
    }
    throw error;
  }
  return { listOf: (workload) => index.listOf(formatWorkloadKey(workload)) };
}
