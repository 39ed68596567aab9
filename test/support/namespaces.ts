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
