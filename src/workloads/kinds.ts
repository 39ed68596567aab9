/** The kinds of workload, and where the API server keeps them. */
export const KINDS = {
  Deployment: { apiVersion: 'apps/v1', path: '/apis/apps/v1', plural: 'deployments' },
  DaemonSet: { apiVersion: 'apps/v1', path: '/apis/apps/v1', plural: 'daemonsets' },
} as const;

export type WorkloadKind = keyof typeof KINDS;

/** Identity of a workload: `Deployment/shop/web`. */
export interface WorkloadName {
  readonly kind: WorkloadKind;
  readonly namespace: string;
  readonly name: string;
}

/** Queue key of a workload. */
export function formatWorkloadKey({ kind, namespace, name }: WorkloadName): string {
  return `${kind}/${namespace}/${name}`;
}

export function parseWorkloadKey(key: string): WorkloadName {
  const [kind, namespace, name] = key.split('/');
  return { kind: kind as WorkloadKind, namespace: namespace ?? '', name: name ?? '' };
}
