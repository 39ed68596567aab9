import type { Clock } from '../clock.ts';
import { ApiError, ConflictError, WriteDeniedError } from '../errors.ts';
import type { WorkloadClient, WorkloadPatch } from '../reconcile/ports.ts';
import { KINDS } from '../workloads/kinds.ts';
import type { Pod, SlotPlace, Workload } from '../workloads/workload.ts';
import type { Connection } from './connection/api-client.ts';
import type { StatusDetails } from './connection/api-errors.ts';
import { listPages } from './reflector/list-pages.ts';
import { createNodePlatforms } from './node-platforms.ts';
import { projectPod } from './projection.ts';

/** Public and stable: users name it in the settings of GitOps tools, and it stands in `managedFields`. */
const FIELD_MANAGER = 'backup-image-registry-controller';

type PatchedSlot = WorkloadPatch['slots'][number];

function workloadPath({ kind, namespace, name }: Workload): string {
  const { path, plural } = KINDS[kind];
  return `${path}/namespaces/${encodeURIComponent(namespace)}/${plural}/${encodeURIComponent(name)}`;
}

function slotFields(slots: readonly PatchedSlot[], place: SlotPlace): object[] | undefined {
  const fields = slots
    .filter((slot) => slot.place === place)
    .map(({ name, image }) =>
      place === 'volumes' ? { name, image: { reference: image } } : { name, image },
    );
  return fields.length > 0 ? fields : undefined;
}

/**
 * The strategic-merge patch: the identity of what was read, annotations, and of the template nothing but
 * names and images. Without the resource version a container that was renamed meanwhile would be added.
 */
function patchBody(workload: Workload, { slots, annotations }: WorkloadPatch): object {
  const template = {
    containers: slotFields(slots, 'containers'),
    initContainers: slotFields(slots, 'initContainers'),
    volumes: slotFields(slots, 'volumes'),
  };
  return {
    metadata: { uid: workload.uid, resourceVersion: workload.resourceVersion, annotations },
    ...(slots.length > 0 ? { spec: { template: { spec: template } } } : {}),
  };
}

/** A workload of the same name but another identity is refused as if the patch were wrong. */
function isOtherIdentity(error: ApiError): boolean {
  const details = error.cause as StatusDetails | undefined;
  return (
    error.status === 422 &&
    (details?.causes.some(({ field }) => ['metadata.uid', 'metadata.resourceVersion'].includes(field)) ===
      true ||
      /precondition/iu.test(details?.message ?? ''))
  );
}

function explainRefusal(error: unknown): unknown {
  if (!(error instanceof ApiError)) {
    return error;
  }
  if ([404, 409].includes(error.status) || isOtherIdentity(error)) {
    return new ConflictError(error.message, { cause: error });
  }
  return [403, 422].includes(error.status) ? new WriteDeniedError(error.message, { cause: error }) : error;
}

/** Reads and writes workloads beyond what the reflectors show; `assertMayWrite` is asked before every write. */
export function createWorkloadClient(options: {
  readonly connection: Pick<Connection, 'request'>;
  /** Throws when this process must not write, because another one leads. */
  readonly assertMayWrite: () => void;
  readonly clock: Clock;
}): WorkloadClient {
  const { connection, assertMayWrite, clock } = options;
  return {
    async listPods(workload, signal) {
      const { namespace, podSelector } = workload;
      const pods: Pod[] = [];
      if (podSelector === '') {
        // As a query it would match every pod of the namespace.
        return pods;
      }
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
      await listPages(connection, { path, query: { labelSelector: podSelector }, signal }, (item) => {
        const pod = projectPod(item);
        if (pod) {
          pods.push(pod);
        }
      });
      return pods;
    },
    listNodePlatforms: createNodePlatforms(connection, clock),
    async patch(workload, patch, signal) {
      try {
        await connection.request({
          method: 'PATCH',
          path: workloadPath(workload),
          query: { fieldManager: FIELD_MANAGER },
          body: patchBody(workload, patch),
          contentType: 'application/strategic-merge-patch+json',
          guard: assertMayWrite,
          signal,
        });
      } catch (error) {
        throw explainRefusal(error);
      }
    },
  };
}
