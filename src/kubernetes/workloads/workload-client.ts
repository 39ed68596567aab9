import type { Clock } from '../../clock.ts';
import { ApiError, ConflictError } from '../../errors.ts';
import type { PodPatch, WorkloadClient, WorkloadPatch } from '../../reconcile/ports.ts';
import { FIELD_MANAGER } from '../../workloads/image-owner.ts';
import { KINDS } from '../../workloads/kinds.ts';
import type { Pod, SlotPlace, Workload } from '../../workloads/workload.ts';
import type { Connection } from '../connection/api-client.ts';
import { BoundedList, MOST_LISTED_BYTES } from '../decode/bounded-list.ts';
import { listPages } from '../reflector/list-pages.ts';
import { createNodePlatforms } from './node-platforms.ts';
import { createPodDryRun, isDryRunUnknown } from '../pods/pod-dry-run.ts';
import { explainRefusal } from '../connection/refusal.ts';
import { projectPod } from '../pods/pod-projection.ts';
import { projectFormerTemplate, projectWorkload } from './projection.ts';

type PatchedSlot = WorkloadPatch['slots'][number];

function podsPath({ namespace }: Workload): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
}

/** Runs of a CronJob are Jobs called `<name>-<minutes since 1970>`; all Jobs of a namespace share one selector. */
function isOfWorkload({ kind, name }: Workload, pod: Pod): boolean {
  const job = pod.made?.by.name;
  const isRun = job?.startsWith(`${name}-`) === true && /^\d+$/.test(job.slice(name.length + 1));
  return kind !== 'CronJob' || isRun;
}

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

function podSpecFields(slots: readonly PatchedSlot[]): object {
  return {
    containers: slotFields(slots, 'containers'),
    initContainers: slotFields(slots, 'initContainers'),
    volumes: slotFields(slots, 'volumes'),
  };
}

/** By name, so that entries of others stay as they are. */
function pullSecretFields({ add, remove }: NonNullable<WorkloadPatch['pullSecrets']>): object[] {
  return [...add.map((name) => ({ name })), ...remove.map((name) => ({ $patch: 'delete', name }))];
}

/**
 * The strategic-merge patch: the identity of what was read, annotations, and of the template nothing but
 * names, images and pull secrets. Without the resource version a container that was renamed meanwhile would be added.
 */
function patchBody(workload: Workload, { slots, annotations, pullSecrets }: WorkloadPatch): object {
  const metadata = { uid: workload.uid, resourceVersion: workload.resourceVersion, annotations };
  if (slots.length === 0 && !pullSecrets) {
    return { metadata };
  }
  const podSpec = {
    ...podSpecFields(slots),
    ...(pullSecrets && { imagePullSecrets: pullSecretFields(pullSecrets) }),
  };
  const path = [...KINDS[workload.kind].template, 'spec'];
  return {
    metadata,
    ...path.reduceRight<object>((inner, field) => ({ [field]: inner }), podSpec),
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

/**
 * Objects of a workload's namespace that its selector matches, as far as they can be projected.
 *
 * @throws {TooLargeError} when they are more than one decision may be about.
 */
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
  const found = new BoundedList<T>({ what: list.plural, mostBytes: MOST_LISTED_BYTES });
  if (podSelector === '') {
    // As a query it would match everything in the namespace.
    return [];
  }
  const path = `${list.path}/namespaces/${encodeURIComponent(namespace)}/${list.plural}`;
  const query = { labelSelector: podSelector };
  await listPages(connection, { path, query, signal: list.signal }, (item) => {
    const projected = list.project(item);
    if (projected !== undefined) {
      found.add(projected);
    }
  });
  return found.items;
}

interface Patch {
  readonly body: object;
  readonly type: 'strategic-merge-patch' | 'json-patch';
  readonly dryRun?: boolean;
}

function createReader(
  connection: Pick<Connection, 'request'>,
  clock: Clock,
): Pick<WorkloadClient, 'listPods' | 'listFormerTemplates' | 'listNodePlatforms'> {
  return {
    listPods: (workload, signal) =>
      listSelected(connection, {
        workload,
        path: '/api/v1',
        plural: 'pods',
        project: (item) => {
          const pod = projectPod(item);
          return pod && isOfWorkload(workload, pod) ? pod : undefined;
        },
        signal,
      }),
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
  };
}

/** Reads and writes workloads beyond what the reflectors show; `assertMayWrite` is asked before every write. */
export function createWorkloadClient(options: {
  readonly connection: Pick<Connection, 'request'>;
  /** Throws when this process must not write, because another one leads. */
  readonly assertMayWrite: () => void;
  readonly clock: Clock;
}): WorkloadClient {
  const { connection, assertMayWrite, clock } = options;

  const dryRunPod = createPodDryRun(options);

  async function send(path: string, { body, type, dryRun }: Patch, signal: AbortSignal): Promise<unknown> {
    return connection.request({
      method: 'PATCH',
      path,
      query: { fieldManager: FIELD_MANAGER, ...(dryRun && { dryRun: 'All' }) },
      body,
      contentType: `application/${type}+json`,
      guard: assertMayWrite,
      signal,
    });
  }

  async function merge(path: string, body: object, signal: AbortSignal): Promise<void> {
    try {
      await send(path, { body, type: 'strategic-merge-patch' }, signal);
    } catch (error) {
      throw explainRefusal(error);
    }
  }

  return {
    ...createReader(connection, clock),
    patch: (workload, patch, signal) => merge(workloadPath(workload), patchBody(workload, patch), signal),
    async dryRunPatch(workload, patch, signal) {
      const dryRun = {
        body: patchBody(workload, patch),
        type: 'strategic-merge-patch',
        dryRun: true,
      } as const;
      try {
        const raw = await send(workloadPath(workload), dryRun, signal);
        const made = projectWorkload(workload.kind, raw);
        return made && { slots: made.slots, pod: await dryRunPod(workload, raw, signal) };
      } catch (error) {
        if (isDryRunUnknown(error)) {
          return undefined;
        }
        throw explainRefusal(error);
      }
    },
    patchPod(workload, { name, uid, slots }: PodPatch, signal) {
      const path = `${podsPath(workload)}/${encodeURIComponent(name)}`;
      return merge(path, { metadata: { uid }, spec: podSpecFields(slots) }, signal);
    },
    async releaseImages(workload, signal) {
      try {
        await send(workloadPath(workload), { body: releaseBody(workload), type: 'json-patch' }, signal);
      } catch (error) {
        throw explainFailedTest(error);
      }
    },
  };
}
