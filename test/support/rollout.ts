import { followObjects } from './follow.ts';
import { referenceTo, type Kube, type ObjectReference } from './kube.ts';
import type { Pod, Workload } from './objects.ts';
import { waitFor } from './wait-for.ts';
import { isRolledOut } from './workload-builders.ts';

/** Returns the workload once all its pods are of the current template and ready. */
export async function waitForRollout(kube: Kube, workload: ObjectReference | Workload): Promise<Workload> {
  const reference = 'metadata' in workload ? referenceTo(workload) : workload;
  const { kind, namespace, name } = reference;
  return waitFor(
    async () => {
      const now = await kube.get<Workload>(reference);
      return now && isRolledOut(now) ? now : undefined;
    },
    { what: `${kind} ${namespace}/${name} to be rolled out` },
  );
}

/**
 * Returns the workload as it was created, once it has been rolled out. It is watched and not polled: a controller that
 * swaps it at once may leave that state again within milliseconds.
 */
export async function createAndRollOut(kube: Kube, workload: Workload): Promise<Workload> {
  const { apiVersion, kind, metadata } = workload;
  const { namespace = '', name } = metadata;
  const rolledOutUids = new Set<string | undefined>();
  const onObject = (now: Workload): void => {
    if (isRolledOut(now)) {
      rolledOutUids.add(now.metadata.uid);
    }
  };
  const following = new AbortController();
  const query = { apiVersion, kind, namespace };
  const followed = followObjects({ kube, query }, { onObject, onGone: () => undefined }, following.signal);
  try {
    const created = await kube.create(workload);
    const what = `${kind} ${namespace}/${name} to be rolled out`;
    await waitFor(() => rolledOutUids.has(created.metadata.uid), { what });
    return created;
  } finally {
    following.abort();
    await followed;
  }
}

/** Pods of a workload, by its selector; those being deleted as well. */
export async function listPods(kube: Kube, { metadata, spec }: Workload): Promise<readonly Pod[]> {
  const labelSelector = Object.entries(spec.selector.matchLabels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  const { namespace = '' } = metadata;
  return kube.list<Pod>({ apiVersion: 'v1', kind: 'Pod', namespace, labelSelector });
}

/** Pods of a workload that are not on their way out. */
export async function listLivingPods(kube: Kube, workload: Workload): Promise<readonly Pod[]> {
  return (await listPods(kube, workload)).filter(({ metadata }) => !metadata.deletionTimestamp);
}

/** Why a container waits, such as `ImagePullBackOff`: one for each container of the pod that does. */
export function waitingReasons({ status }: Pod): readonly { reason: string; message?: string }[] {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return all.flatMap(({ state }) => (state.waiting ? [state.waiting] : []));
}
