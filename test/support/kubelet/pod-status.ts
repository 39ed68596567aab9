/** What a kubelet reports about a pod. Pure but for the clock. */
import { createHash } from 'node:crypto';
import type { Condition, Container, ContainerState, ContainerStatus, Pod, PodStatus } from '../objects.ts';
import type { PulledImage } from './pull.ts';

/** On a pod template: containers whose image text begins with the value run, but never become ready. */
export const NEVER_READY_ANNOTATION = 'test-kubelet/never-ready';
/** The same for containers that exit as soon as they are started, again and again. */
export const CRASHING_ANNOTATION = 'test-kubelet/crashing';

/** Of a container that crashes: as after a minute or two. */
const RESTARTS = 4;

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
  const isInitialized = initContainers.every(
    (container) => isPulled(outcomes.get(container.name)) && !crashes(pod, container, outcomes),
  );
  const runsToEnd = pod.spec.restartPolicy !== undefined && pod.spec.restartPolicy !== 'Always';

  const describe = (container: Container, facts: Pick<ContainerFacts, 'ends' | 'isReady'>): ContainerStatus =>
    containerStatus(container, outcomes.get(container.name) ?? { reason: 'PodInitializing' }, {
      pod,
      startedAt,
      crashes: crashes(pod, container, outcomes),
      ...facts,
    });
  const initContainerStatuses = initContainers.map((one) =>
    describe(one, { ends: one.restartPolicy !== 'Always', isReady: true }),
  );
  const containerStatuses = containers.map((one) =>
    describe(one, { ends: runsToEnd, isReady: !runsToEnd && !isMarked(pod, one, NEVER_READY_ANNOTATION) }),
  );
  const unready = containerStatuses.filter(({ ready }) => !ready).map(({ name }) => name);
  const isStarted = isInitialized && containers.every(({ name }) => isPulled(outcomes.get(name)));
  const allReady = isStarted && unready.length === 0;
  const message = `containers with unready status: [${unready.join(' ')}]`;
  // Left out, those of before would stay: the status is patched.
  const why = allReady ? { reason: '', message: '' } : { reason: 'ContainersNotReady', message };
  return {
    phase: phaseOf(isStarted, runsToEnd),
    startTime: startedAt,
    podIP,
    conditions: [
      condition('PodReadyToStartContainers', true),
      condition('Initialized', isInitialized),
      { ...condition('ContainersReady', allReady), ...why },
      { ...condition('Ready', allReady), ...why },
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

function isMarked({ metadata }: Pod, { image }: Container, annotation: string): boolean {
  const beginning = metadata.annotations?.[annotation];
  return beginning !== undefined && image.startsWith(beginning);
}

function crashes(pod: Pod, container: Container, outcomes: Outcomes): boolean {
  const outcome = outcomes.get(container.name);
  return isPulled(outcome) && (outcome.isForeign === true || isMarked(pod, container, CRASHING_ANNOTATION));
}

interface ContainerFacts {
  readonly pod: Pod;
  readonly startedAt: string;
  readonly crashes: boolean;
  /** It does its work and exits with 0. */
  readonly ends: boolean;
  readonly isReady: boolean;
}

function containerStatus(
  { name, image }: Container,
  outcome: PulledImage | Waiting,
  facts: ContainerFacts,
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
  const { pod, startedAt, ends, isReady } = facts;
  const containerID = `containerd://${createHash('sha256').update(`${pod.metadata.uid}/${name}`).digest('hex')}`;
  const pulled = { name, image: outcome.image, imageID: outcome.imageID, containerID };
  if (facts.crashes) {
    const restartCount = RESTARTS;
    return { ...pulled, ready: false, started: false, restartCount, ...crashState(name, outcome, facts) };
  }
  const state: ContainerState = ends
    ? { terminated: { exitCode: 0, reason: 'Completed', startedAt, finishedAt: new Date().toISOString() } }
    : { running: { startedAt } };
  return { ...pulled, ready: isReady, started: !ends, restartCount: 0, state };
}

/** Between two of its tries, where it is most of the time. */
function crashState(
  container: string,
  { isForeign = false }: PulledImage,
  { pod: { metadata }, startedAt }: ContainerFacts,
): Pick<ContainerStatus, 'state' | 'lastState'> {
  const { name, namespace, uid } = metadata;
  const message = `back-off 10s restarting failed container=${container} pod=${name}_${namespace}(${uid})`;
  return {
    state: { waiting: { reason: 'CrashLoopBackOff', message } },
    lastState: {
      terminated: {
        exitCode: isForeign ? 255 : 1,
        reason: 'Error',
        ...(isForeign && { message: 'exec /app/0: exec format error' }),
        startedAt,
        finishedAt: new Date().toISOString(),
      },
    },
  };
}
