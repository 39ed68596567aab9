import type { Clock } from '../clock.ts';
import { ApiError, ConflictError, WriteDeniedError } from '../errors.ts';
import type { WorkloadClient, WorkloadPatch } from '../reconcile/ports.ts';
import { FIELD_MANAGER } from '../workloads/image-owner.ts';
import { KINDS } from '../workloads/kinds.ts';
import type { SlotPlace, Workload } from '../workloads/workload.ts';
import type { Connection } from './connection/api-client.ts';
import type { StatusDetails } from './connection/api-errors.ts';
import { listPages } from './reflector/list-pages.ts';
import { createNodePlatforms } from './node-platforms.ts';
import { projectFormerTemplate, projectPod } from './projection.ts';

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

/**
 * The JSON patch that drops our entry from `managedFields`. The tests refuse it when the list has changed meanwhile;
 * there is none on the resource version, which the status of a rollout moves all the time.
 */
function releaseBody({ uid, ownFieldsAt }: Workload): object {
  const entry = `/metadata/managedFields/${ownFieldsAt}`;
  return [
    { op: 'test', path: '/metadata/uid', value: uid },
    { op: 'test', path: `${entry}/manager`, value: FIELD_MANAGER },
    { op: 'test', path: `${entry}/operation`, value: 'Update' },
    { op: 'remove', path: entry },
  ];
}

/** A test that fails, or finds nothing to test, is answered like a patch that is wrong. */
function explainFailedTest(error: unknown): unknown {
  return error instanceof ApiError && [404, 409, 422].includes(error.status)
    ? new ConflictError(error.message, { cause: error })
    : explainRefusal(error);
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

/** Objects of a workload's namespace that its selector matches, as far as they can be projected. */
async function listSelected<T>(
  connection: Pick<Connection, 'request'>,
  list: {
    readonly workload: Workload;
    readonly path: string;
    readonly plural: string;
    readonly project: (item: unknown) => T | undefined;
    readonly signal: AbortSignal;
  },
): Promise<readonly T[]> {
  const { namespace, podSelector } = list.workload;
  const found: T[] = [];
  if (podSelector === '') {
    // As a query it would match everything in the namespace.
    return found;
  }
  const path = `${list.path}/namespaces/${encodeURIComponent(namespace)}/${list.plural}`;
  const query = { labelSelector: podSelector };
  await listPages(connection, { path, query, signal: list.signal }, (item) => {
    const projected = list.project(item);
    if (projected !== undefined) {
      found.push(projected);
    }
  });
  return found;
}

/** Reads and writes workloads beyond what the reflectors show; `assertMayWrite` is asked before every write. */
export function createWorkloadClient(options: {
  readonly connection: Pick<Connection, 'request'>;
  /** Throws when this process must not write, because another one leads. */
  readonly assertMayWrite: () => void;
  readonly clock: Clock;
}): WorkloadClient {
  const { connection, assertMayWrite, clock } = options;

  async function send(
    workload: Workload,
    { body, type }: { body: object; type: 'strategic-merge-patch' | 'json-patch' },
    signal: AbortSignal,
  ): Promise<void> {
    await connection.request({
      method: 'PATCH',
      path: workloadPath(workload),
      query: { fieldManager: FIELD_MANAGER },
      body,
      contentType: `application/${type}+json`,
      guard: assertMayWrite,
      signal,
    });
  }

  return {
    listPods: (workload, signal) =>
      listSelected(connection, { workload, path: '/api/v1', plural: 'pods', project: projectPod, signal }),
    listFormerTemplates: async (workload, signal) =>
      workload.kind === 'Deployment'
        ? listSelected(connection, {
            workload,
            path: '/apis/apps/v1',
            plural: 'replicasets',
            project: (item) => projectFormerTemplate(item, workload.uid),
            signal,
          })
        : [],
    listNodePlatforms: createNodePlatforms(connection, clock),
    async patch(workload, patch, signal) {
      try {
        await send(workload, { body: patchBody(workload, patch), type: 'strategic-merge-patch' }, signal);
      } catch (error) {
        throw explainRefusal(error);
      }
    },
    async releaseImages(workload, signal) {
      try {
        await send(workload, { body: releaseBody(workload), type: 'json-patch' }, signal);
      } catch (error) {
        throw explainFailedTest(error);
      }
    },
  };
}
