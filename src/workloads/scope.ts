import { posix } from 'node:path';

import type { WorkloadName } from './kinds.ts';

export interface Scope {
  /** Namespace names with `*` and `?`. */
  readonly excludedNamespaces: readonly string[];
  /** Where this process runs, if it runs as a pod. */
  readonly self?: { readonly namespace: string; readonly podName: string };
  /** Host of the backup registry. */
  readonly backupHost: string;
}

/** Namespace of a registry that is a Service of this cluster: `registry.tools.svc.cluster.local:5000`. */
function findServiceNamespace(host: string): string | undefined {
  return /^[a-z0-9-]+\.([a-z0-9-]+)\.svc(?:[.:]|$)/.exec(host)?.[1];
}

/** True for the Deployment that this pod belongs to: its pods are called `<name>-<hash>-<hash>`. */
function isSelf({ namespace, name }: WorkloadName, self: Scope['self']): boolean {
  return (
    self !== undefined &&
    self.namespace === namespace &&
    /^(.+)-[^-]+-[^-]+$/.exec(self.podName)?.[1] === name
  );
}

/** Why a workload is never touched; undefined when it may be. */
export function findExclusion(workload: WorkloadName, scope: Scope): string | undefined {
  if (scope.excludedNamespaces.some((pattern) => posix.matchesGlob(workload.namespace, pattern))) {
    return 'namespace in NAMESPACES_EXCLUDE_LIST';
  }
  if (workload.namespace === findServiceNamespace(scope.backupHost)) {
    return 'namespace of the backup registry';
  }
  return isSelf(workload, scope.self) ? 'the controller itself' : undefined;
}

/**
 * False for workloads that are never touched: those of excluded namespaces, the controller itself, and the
 * namespace that serves the backup registry, which could not start from itself.
 */
export function isInScope(workload: WorkloadName, scope: Scope): boolean {
  return findExclusion(workload, scope) === undefined;
}
