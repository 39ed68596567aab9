import { KIND_NAMES, type WorkloadKind } from '../workloads/kinds.ts';
import type { Scope } from '../workloads/scope.ts';
import type { Settings } from './settings.ts';

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
