import { FIELD_MANAGER } from '../../src/workloads/image-owner.ts';
import type { ContainerState, ModelNode } from './node-model.ts';

export type Images = Readonly<Record<string, string>>;

/** Who has made a pod, and how they mark it. */
export interface Origin {
  readonly owner: { readonly kind: string; readonly uid: string; readonly name: string };
  readonly labels: Readonly<Record<string, string>>;
}

export interface ModelPod extends Origin {
  readonly name: string;
  readonly uid: string;
  /** Which of the pods of its workload it is: the node of a DaemonSet, the ordinal of a StatefulSet. */
  readonly place: number;
  readonly node: ModelNode;
  /** The template that it was made of, whatever images it has been given since. */
  readonly template: Images;
  /** What it was to have: its template, and what it was given in place. */
  wanted: Images;
  /** What it has: a policy may have made others of those when it was created. */
  images: Images;
  readonly createdAtMs: number;
  /** When the controller last gave it another image. */
  replacedAtMs?: number;
  /** By container; empty until the kubelet has looked at it. */
  states: Readonly<Record<string, ContainerState>>;
}

/** Whether a pod was made of a template with these images. */
export function isOf({ template }: ModelPod, images: Images): boolean {
  return Object.entries(template).every(([container, image]) => images[container] === image);
}

export function isReady({ images, states }: ModelPod): boolean {
  return Object.keys(images).every((container) => states[container]?.is === 'ready');
}

/** Every image is on its node, whatever comes of that. */
export function isPulled({ images, states }: ModelPod): boolean {
  return Object.keys(images).every(
    (container) => (states[container] ?? { is: 'not pulled' }).is !== 'not pulled',
  );
}

/** Containers whose images cannot be pulled. */
export function listStuck({ states }: ModelPod): readonly string[] {
  return Object.keys(states).filter((container) => states[container]?.is === 'not pulled');
}

/** When it was last given its images. */
function startedAtMs({ createdAtMs, replacedAtMs = 0 }: ModelPod): number {
  return Math.max(createdAtMs, replacedAtMs);
}

/** The kubelet waits twice as long every time. */
function countRestarts(pod: ModelPod): number {
  return Math.floor(Math.log2((Date.now() - startedAtMs(pod)) / 10_000 + 1));
}

/** In the words of the kubelet. */
function toWaiting(name: string, image: string, is: ContainerState['is']): object {
  return is === 'not pulled'
    ? { reason: 'ImagePullBackOff', message: `Back-off pulling image "${image}"` }
    : { reason: 'CrashLoopBackOff', message: `back-off restarting failed container=${name}` };
}

function toContainerStatus(pod: ModelPod, name: string): object {
  const { [name]: image = '' } = pod.images;
  const { [name]: state } = pod.states;
  if (!state) {
    return { name, imageID: '', state: {} };
  }
  const isRunning = state.is === 'ready' || state.is === 'not ready';
  return {
    name,
    imageID: state.is === 'not pulled' ? '' : state.imageId,
    restartCount: state.is === 'crashes' ? countRestarts(pod) : 0,
    state: isRunning ? { running: {} } : { waiting: toWaiting(name, image, state.is) },
  };
}

export function toRawPod(pod: ModelPod): object {
  const { name, uid, owner, labels, createdAtMs, replacedAtMs, images } = pod;
  const containers = Object.entries(images);
  const ready = isReady(pod)
    ? { type: 'Ready', status: 'True' }
    : {
        type: 'Ready',
        status: 'False',
        lastTransitionTime: new Date(startedAtMs(pod)).toISOString(),
        message: 'containers with unready status',
      };
  const scheduled = {
    type: 'PodScheduled',
    status: 'True',
    lastTransitionTime: new Date(createdAtMs).toISOString(),
  };
  return {
    metadata: {
      name,
      uid,
      labels,
      creationTimestamp: new Date(createdAtMs).toISOString(),
      ownerReferences: [{ ...owner, controller: true }],
      managedFields:
        replacedAtMs === undefined
          ? []
          : [{ manager: FIELD_MANAGER, operation: 'Update', time: new Date(replacedAtMs).toISOString() }],
    },
    spec: { containers: containers.map(([container, image]) => ({ name: container, image })) },
    status: {
      conditions: [scheduled, ready],
      containerStatuses: Object.keys(images).map((container) => toContainerStatus(pod, container)),
    },
  };
}
