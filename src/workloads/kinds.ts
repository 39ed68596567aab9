/** What sets a kind of workload apart. */
export interface KindTraits {
  readonly apiVersion: string;
  /** Of its API group in the API server. */
  readonly path: string;
  readonly plural: string;
  /** As kubectl knows it. */
  readonly shortName: string;
  /** Where the pod template is, from the root of the object. */
  readonly template: readonly string[];
  /**
   * Its pods stay, and count as available or not, so that a rollout is over some day. False: each run makes pods of its own and
   * ends them. A kind whose pods stay and are not replaced when the template changes is true here, and `Rollout.onDelete`.
   */
  readonly rollsOut: boolean;
  /** Whatever its strategy: when the template is put back, a pod that never started keeps the image it has. */
  readonly alwaysKeepsStuckPods: boolean;
  /** `kubectl rollout undo` brings the template of an earlier revision back, but not the annotations of then. */
  readonly undoLeavesAnnotations: boolean;
}

const APPS = {
  apiVersion: 'apps/v1',
  path: '/apis/apps/v1',
  template: ['spec', 'template'],
  rollsOut: true,
} as const;

/** The kinds of workload. */
export const KINDS = {
  Deployment: {
    ...APPS,
    plural: 'deployments',
    shortName: 'deploy',
    alwaysKeepsStuckPods: false,
    undoLeavesAnnotations: false,
  },
  DaemonSet: {
    ...APPS,
    plural: 'daemonsets',
    shortName: 'ds',
    alwaysKeepsStuckPods: false,
    undoLeavesAnnotations: true,
  },
  // One that starts its pods in order waits for the first of them for ever: kubernetes/kubernetes#67250.
  StatefulSet: {
    ...APPS,
    plural: 'statefulsets',
    shortName: 'sts',
    alwaysKeepsStuckPods: true,
    undoLeavesAnnotations: true,
  },
  // The Job of a run keeps the template that it was made with.
  CronJob: {
    apiVersion: 'batch/v1',
    path: '/apis/batch/v1',
    plural: 'cronjobs',
    shortName: 'cj',
    template: ['spec', 'jobTemplate', 'spec', 'template'],
    rollsOut: false,
    alwaysKeepsStuckPods: true,
    undoLeavesAnnotations: false,
  },
} as const satisfies Readonly<Record<string, KindTraits>>;

export type WorkloadKind = keyof typeof KINDS;

export const KIND_NAMES = Object.keys(KINDS) as readonly WorkloadKind[];

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

function isKind(text: string): text is WorkloadKind {
  return Object.hasOwn(KINDS, text);
}

/** @throws {TypeError} for what `formatWorkloadKey` has not made. */
export function parseWorkloadKey(key: string): WorkloadName {
  const [kind = '', namespace = '', name = '', ...rest] = key.split('/');
  if (!isKind(kind) || namespace === '' || name === '' || rest.length > 0) {
    throw new TypeError(`no key of a workload: ${key}`);
  }
  return { kind, namespace, name };
}
