import type { Settings } from '../settings/settings.ts';
import { KIND_NAMES, type WorkloadKind } from '../workloads/kinds.ts';
import type { Scope } from '../workloads/scope.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where the manifests install the controller; a pod says where it really is. */
const DEFAULT_NAMESPACE = 'backup-image-registry';

/** Namespace of the controller, where its ConfigMap and its Lease are. */
export function findNamespace(environment: Environment): string {
  return environment['POD_NAMESPACE'] || DEFAULT_NAMESPACE;
}

/** The pod that this process runs in; undefined outside a cluster. */
export function findSelf(environment: Environment): Scope['self'] {
  const { POD_NAMESPACE: namespace, POD_NAME: podName } = environment;
  return namespace && podName ? { namespace, podName } : undefined;
}

/** In the namespace of the controller. */
export const LEASE_NAME = 'k8s-backup-image-registry-controller';

/** Kinds that the controller watches: what was swapped before its kind was taken out gets its originals back, too. */
export function findKinds({ MODE, WORKLOAD_KINDS }: Settings): readonly WorkloadKind[] {
  return MODE === 'restore' ? KIND_NAMES : WORKLOAD_KINDS;
}

/** Which workloads the controller deals with. */
export function createScope(
  { MODE, NAMESPACES_EXCLUDE_LIST, REGISTRY_PREFIX }: Settings,
  self: Scope['self'],
): Scope {
  return {
    // What was swapped before its namespace was excluded gets its originals back, too.
    excludedNamespaces: MODE === 'restore' ? [] : NAMESPACES_EXCLUDE_LIST,
    backupHost: REGISTRY_PREFIX.host,
    ...(self && { self }),
  };
}
