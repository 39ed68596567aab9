import { KINDS, KIND_NAMES } from '../../src/workloads/kinds.ts';
import type { Kube } from './kube.ts';
import { waitFor } from './wait-for.ts';

/** Creates a namespace, if need be, and returns when it is ready for pods. */
export async function createNamespace(kube: Kube, name: string): Promise<void> {
  await kube.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  // Until the controller manager has created it, pods are refused.
  await waitFor(
    () => kube.get({ apiVersion: 'v1', kind: 'ServiceAccount', namespace: name, name: 'default' }),
    {
      what: `the default ServiceAccount of ${name}`,
    },
  );
}

/** Asks for it; the controller manager takes its time to empty it. */
export async function deleteNamespace(kube: Kube, name: string): Promise<void> {
  await kube.delete({ apiVersion: 'v1', kind: 'Namespace', name });
}

const WORKLOADS = KIND_NAMES.map((kind) => ({ apiVersion: KINDS[kind].apiVersion, kind }));

/** Returns once no workload is left of earlier tests, which a new controller would look after as well. */
export async function waitForEmptied(kube: Kube): Promise<void> {
  await waitFor(
    async () => {
      const namespaces = await kube.list({ apiVersion: 'v1', kind: 'Namespace' });
      const ending = namespaces.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
      const workloads = await Promise.all(WORKLOADS.map((query) => kube.list(query)));
      return !workloads
        .flat()
        .some((workload) => ending.some(({ metadata }) => metadata.name === workload.metadata.namespace));
    },
    { what: 'the workloads of deleted namespaces to be gone' },
  );
}
