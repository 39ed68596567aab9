import type { WorkloadKind } from '../../src/workloads/kinds.ts';
import { type Images, type ModelPod, isOf, isPulled, isReady } from './pod-model.ts';

/** A workload as its controller sees it. */
export interface Controlled {
  readonly images: Images;
  readonly replicas: number;
  readonly isPaused: boolean;
  /** Start of the newest run of a CronJob. */
  readonly startedAtMs: number | undefined;
  pods: ModelPod[];
}

/** What the controller of a kind does next; undefined: nothing. */
type Move = { readonly remove: ModelPod } | { readonly startAt: number };

/** A kind of workload as its controller treats it. */
export interface KindModel {
  readonly kind: WorkloadKind;
  /** There is an earlier template to go back to. */
  readonly hasRevisions: boolean;
  /** Going back leaves the annotations as they are. */
  readonly keepsAnnotations: boolean;
  /** A pod that never started stays, whatever becomes of the template, until somebody deletes it. */
  readonly keepsStuckPods: boolean;
  readonly canBePaused: boolean;
  /** How many pods it wants is said in its spec, or by the number of nodes. */
  readonly scales: 'by spec' | 'by nodes';
  /** A changed template replaces pods that serve. */
  readonly rollsOut: boolean;
  /** Each pod has its node. */
  readonly hasPlaces: boolean;
  toSpec(workload: Controlled, template: object): object;
  toStatus(workload: Controlled): object;
  plan(workload: Controlled): Move | undefined;
  /** All its pods are there and of the right template. */
  isComplete(workload: Controlled): boolean;
}

function countReady({ pods }: Controlled): number {
  return pods.filter(isReady).length;
}

function countUpdated({ pods, images }: Controlled): number {
  return pods.filter((pod) => isOf(pod, images)).length;
}

function isRunning(workload: Controlled): boolean {
  return workload.pods.length === workload.replicas && workload.pods.every(isReady);
}

function isUpdated(workload: Controlled): boolean {
  return isRunning(workload) && countUpdated(workload) === workload.replicas;
}

/** The first of the places from 0 on that has no pod. */
function findGap({ pods, replicas }: Controlled): number | undefined {
  const taken = new Set(pods.map(({ place }) => place));
  return Array.from({ length: replicas }, (_, place) => place).find((place) => !taken.has(place));
}

function remove(pod: ModelPod | undefined): Move | undefined {
  return pod && { remove: pod };
}

/** An old pod goes once there are more ready pods than needed, and at once when it is not ready itself. */
function findLeaving(workload: Controlled): ModelPod | undefined {
  const { pods, images, replicas, isPaused } = workload;
  const old = pods.filter((pod) => !isOf(pod, images) && !isPaused);
  return (
    (replicas === 0 ? pods[0] : undefined) ??
    old.find((pod) => !isReady(pod)) ??
    (countReady(workload) > replicas ? old[0] : undefined) ??
    (pods.length > replicas && old.length === 0 ? pods.at(-1) : undefined)
  );
}

/** A surge of one pod. */
function planDeployment(workload: Controlled): Move | undefined {
  const { pods, replicas, isPaused } = workload;
  const leaving = findLeaving(workload);
  const isFull = countUpdated(workload) >= replicas || pods.length > replicas;
  const isWaiting = isFull || !pods.every(isReady) || (isPaused && pods.length >= replicas);
  return remove(leaving) ?? (isWaiting ? undefined : { startAt: 0 });
}

/** One pod for each node; `replicas` are the nodes that it wants. */
function planNodes(workload: Controlled): Move | undefined {
  const place = findGap(workload);
  return (
    remove(workload.pods.find((pod) => pod.place >= workload.replicas)) ??
    (place === undefined ? undefined : { startAt: place })
  );
}

/** An old pod that is not ready goes at once, and one that serves when no other node is without. */
function planDaemonSet(workload: Controlled): Move | undefined {
  const old = workload.pods.filter((pod) => !isOf(pod, workload.images));
  return (
    remove(old.find((pod) => !isReady(pod))) ??
    planNodes(workload) ??
    (workload.pods.every(isReady) ? remove(old[0]) : undefined)
  );
}

/**
 * Pods in order: the first that is not ready stands in the way of all that is to be done, of its own replacement, too
 * (kubernetes/kubernetes#67250). The last pods go first.
 */
function planStatefulSet({ pods, images, replicas }: Controlled): Move | undefined {
  for (let place = 0; place < replicas; place += 1) {
    const pod = pods.find((one) => one.place === place);
    if (!pod) {
      return { startAt: place };
    }
    if (!isReady(pod)) {
      return undefined;
    }
  }
  const backwards = pods.toSorted((a, b) => b.place - a.place);
  return (
    remove(backwards.find(({ place }) => place >= replicas)) ??
    remove(backwards.find((pod) => !isOf(pod, images)))
  );
}

/** Pods of runs: those that have started are soon done, or have failed. */
function planCronJob({ pods }: Controlled): Move | undefined {
  return remove(pods.find(isPulled));
}

function toRuns({ pods, startedAtMs }: Controlled): object {
  return {
    active: pods.map(({ owner }) => owner),
    ...(startedAtMs !== undefined && { lastScheduleTime: new Date(startedAtMs).toISOString() }),
  };
}

const APPS = {
  hasRevisions: true,
  keepsAnnotations: true,
  keepsStuckPods: false,
  canBePaused: false,
  scales: 'by spec',
  rollsOut: true,
  hasPlaces: true,
  isComplete: isUpdated,
} as const;

function toDaemonSetStatus(workload: Controlled): object {
  return {
    desiredNumberScheduled: workload.replicas,
    currentNumberScheduled: workload.pods.length,
    updatedNumberScheduled: countUpdated(workload),
    numberAvailable: countReady(workload),
  };
}

function toReplicas(workload: Controlled): object {
  return {
    replicas: workload.pods.length,
    updatedReplicas: countUpdated(workload),
    availableReplicas: countReady(workload),
  };
}

export const KIND_MODELS = {
  Deployment: {
    ...APPS,
    kind: 'Deployment',
    keepsAnnotations: false,
    canBePaused: true,
    hasPlaces: false,
    toSpec: ({ replicas, isPaused }, template) => ({ replicas, paused: isPaused, template }),
    toStatus: toReplicas,
    plan: planDeployment,
  },
  DaemonSet: {
    ...APPS,
    kind: 'DaemonSet',
    scales: 'by nodes',
    toSpec: (_, template) => ({ updateStrategy: { type: 'RollingUpdate' }, template }),
    toStatus: toDaemonSetStatus,
    plan: planDaemonSet,
  },
  'DaemonSet, OnDelete': {
    ...APPS,
    kind: 'DaemonSet',
    scales: 'by nodes',
    keepsStuckPods: true,
    rollsOut: false,
    toSpec: (_, template) => ({ updateStrategy: { type: 'OnDelete' }, template }),
    // Such a DaemonSet does not count its updated pods.
    toStatus: (workload) => ({ ...toDaemonSetStatus(workload), updatedNumberScheduled: 0 }),
    plan: planNodes,
    isComplete: isRunning,
  },
  StatefulSet: {
    ...APPS,
    kind: 'StatefulSet',
    keepsStuckPods: true,
    toSpec: ({ replicas }, template) => ({ replicas, updateStrategy: { type: 'RollingUpdate' }, template }),
    toStatus: toReplicas,
    plan: planStatefulSet,
  },
  CronJob: {
    ...APPS,
    kind: 'CronJob',
    hasRevisions: false,
    scales: 'by nodes',
    keepsStuckPods: true,
    rollsOut: false,
    hasPlaces: false,
    toSpec: (_, template) => ({ jobTemplate: { spec: { template } } }),
    toStatus: toRuns,
    plan: planCronJob,
    isComplete: ({ pods }) => pods.length === 0,
  },
} as const satisfies Readonly<Record<string, KindModel>>;

export type KindName = keyof typeof KIND_MODELS;
export const KIND_NAMES = Object.keys(KIND_MODELS) as readonly KindName[];
