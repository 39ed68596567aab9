import type { Scope } from '../workloads/scope.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where the manifests install the controller; a pod says where it really is. */
const DEFAULT_NAMESPACE = 'backup-image-registry';

/** In the namespace of the controller. */
export const LEASE_NAME = 'k8s-backup-image-registry-controller';

/** Namespace of the controller, where its ConfigMap and its Lease are. */
export function findNamespace(environment: Environment): string {
  return environment['POD_NAMESPACE'] || DEFAULT_NAMESPACE;
}

/** The pod that this process runs in; undefined outside a cluster. */
export function findSelf(environment: Environment): Scope['self'] {
  const { POD_NAMESPACE: namespace, POD_NAME: podName } = environment;
  return namespace && podName ? { namespace, podName } : undefined;
}
