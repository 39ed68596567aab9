/** What a kubelet reports about a pod. Pure but for the clock. */
import { createHash } from 'node:crypto';
import type { Condition, Container, ContainerState, ContainerStatus, Pod, PodStatus } from '../objects.ts';
import type { PulledImage } from './pull.ts';

/** On a pod template: its containers run, but never become ready. */
export const NEVER_READY_ANNOTATION = 'test-kubelet/never-ready';

export interface Waiting {
  readonly reason: string;
  readonly message?: string;
}

/** By container name: the image it runs with, or why it does not run. */
export type Outcomes = ReadonlyMap<string, PulledImage | Waiting>;

export interface StatusFacts {
  readonly pod: Pod;
  readonly outcomes: Outcomes;
  /** Unique on this cluster. */
  readonly podIP: string;
  readonly startedAt: string;
}

export function podStatus({ pod, outcomes, podIP, startedAt }: StatusFacts): PodStatus {
  const { initContainers = [], containers } = pod.spec;
  const isInitialized = initContainers.every(({ name }) => isPulled(outcomes.get(name)));
  const runsToEnd = pod.spec.restartPolicy !== undefined && pod.spec.restartPolicy !== 'Always';
  const isNeverReady = pod.metadata.annotations?.[NEVER_READY_ANNOTATION] !== undefined;

  const describe = (container: Container, facts: Pick<ContainerFacts, 'ends' | 'isReady'>): ContainerStatus =>
    containerStatus(container, outcomes.get(container.name) ?? { reason: 'PodInitializing' }, {
      uid: pod.metadata.uid ?? '',
      startedAt,
      ...facts,
    });
  const initContainerStatuses = initContainers.map((one) =>
    describe(one, { ends: one.restartPolicy !== 'Always', isReady: true }),
  );
  const containerStatuses = containers.map((one) =>
    describe(one, { ends: runsToEnd, isReady: !runsToEnd && !isNeverReady }),
  );
  const isStarted = isInitialized && containers.every(({ name }) => isPulled(outcomes.get(name)));
  const allReady = isStarted && containerStatuses.every(({ ready }) => ready);
  return {
    phase: phaseOf(isStarted, runsToEnd),
    startTime: startedAt,
    podIP,
    conditions: [
      condition('PodReadyToStartContainers', true),
      condition('Initialized', isInitialized),
      condition('ContainersReady', allReady),
      condition('Ready', allReady),
    ],
    ...(initContainerStatuses.length > 0 && { initContainerStatuses }),
    containerStatuses,
  };
}

export function isPulled(outcome: PulledImage | Waiting | undefined): outcome is PulledImage {
  return outcome !== undefined && 'imageID' in outcome;
}

function phaseOf(isStarted: boolean, runsToEnd: boolean): PodStatus['phase'] {
  if (!isStarted) {
    return 'Pending';
  }
  return runsToEnd ? 'Succeeded' : 'Running';
}

function condition(type: string, isTrue: boolean): Condition {
  return { type, status: isTrue ? 'True' : 'False', lastTransitionTime: new Date().toISOString() };
}

interface ContainerFacts {
  readonly uid: string;
  readonly startedAt: string;
  /** It does its work and exits with 0. */
  readonly ends: boolean;
  readonly isReady: boolean;
}

function containerStatus(
  { name, image }: Container,
  outcome: PulledImage | Waiting,
  { uid, startedAt, ends, isReady }: ContainerFacts,
): ContainerStatus {
  if (!isPulled(outcome)) {
    return {
      name,
      image,
      imageID: '',
      ready: false,
      started: false,
      restartCount: 0,
      state: { waiting: outcome },
    };
  }
  const containerID = `containerd://${createHash('sha256').update(`${uid}/${name}`).digest('hex')}`;
  const state: ContainerState = ends
    ? { terminated: { exitCode: 0, reason: 'Completed', startedAt, finishedAt: new Date().toISOString() } }
    : { running: { startedAt } };
  return {
    name,
    image: outcome.image,
    imageID: outcome.imageID,
    ready: isReady,
    started: !ends,
    restartCount: 0,
    containerID,
    state,
  };
}
