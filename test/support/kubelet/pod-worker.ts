import { setTimeout as sleep } from 'node:timers/promises';
import { isTransient } from '../kube-error.ts';
import { referenceTo, type Kube } from '../kube.ts';
import type { Container, Pod } from '../objects.ts';
import type { TestNode } from './node.ts';
import { isPulled, podStatus, type StatusFacts, type Waiting } from './pod-status.ts';
import { pullImage, PullError, type PulledImage } from './pull.ts';
import { findCredentials, type CredentialSources } from './pull-credentials.ts';

export interface PodWorkerDeps extends CredentialSources {
  readonly node: TestNode;
  readonly podIP: string;
  /** Wait before the second try; doubles up to ten times as much. */
  readonly backOffMs: number;
}

const RETRY_MS = 200;
const LONGEST_BACK_OFF = 10;
/** In back-offs: long enough for anybody who looks every second or two to see it. */
const STALE_FACTOR = 3;

type PullPolicy = Container['imagePullPolicy'];

/** Brings one pod to Running, however many tries that takes; ends early when the signal aborts. */
export async function runPod(deps: PodWorkerDeps, pod: Pod, signal: AbortSignal): Promise<void> {
  const outcomes = new Map<string, PulledImage | Waiting>();
  const facts = { pod, outcomes, podIP: deps.podIP, startedAt: new Date().toISOString() };
  for (const [name, waiting] of listFailures(pod)) {
    // Of the images before these. As in life, it is told of the new ones first.
    outcomes.set(name, waiting);
  }
  if (outcomes.size > 0) {
    await report(deps.kube, facts, signal);
    await sleep(deps.backOffMs * STALE_FACTOR, undefined, { signal });
  }
  for (let failures = 1; ; failures += 1) {
    const failed = await startContainers(deps, facts, signal);
    await report(deps.kube, facts, signal);
    if (failed.length === 0) {
      return;
    }
    // As in life, the error itself is shown for a moment only.
    await sleep(deps.backOffMs / 4, undefined, { signal });
    backOff(failed, outcomes);
    await report(deps.kube, facts, signal);
    const waitMs = deps.backOffMs * Math.min(2 ** (failures - 1), LONGEST_BACK_OFF);
    await sleep(waitMs, undefined, { signal });
  }
}

/** Containers of which it was last said that their image is not to be had. */
function listFailures({ status }: Pod): readonly (readonly [container: string, Waiting])[] {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return all.flatMap(({ name, state: { waiting } }) =>
    waiting && /ImagePull/.test(waiting.reason) ? [[name, waiting] as const] : [],
  );
}

type PodFacts = StatusFacts & { readonly outcomes: Map<string, PulledImage | Waiting> };

/** Returns the containers whose image is not to be had. */
async function startContainers(
  deps: PodWorkerDeps,
  facts: PodFacts,
  signal: AbortSignal,
): Promise<Container[]> {
  const { pod, outcomes } = facts;
  const { initContainers = [], containers } = pod.spec;
  const volumeProblem = await pullVolumes(deps, pod);
  const failed: Container[] = [];
  const start = async (container: Container): Promise<void> => {
    signal.throwIfAborted();
    if (isPulled(outcomes.get(container.name))) {
      return;
    }
    const { image, imagePullPolicy } = container;
    const outcome = volumeProblem ?? (await pull(deps, pod, { image, policy: imagePullPolicy }));
    outcomes.set(container.name, outcome);
    if (!isPulled(outcome)) {
      failed.push(container);
    }
  };
  for (const container of initContainers) {
    await start(container);
    if (failed.length > 0) {
      return failed;
    }
  }
  await Promise.all(containers.map(start));
  return failed;
}

/** Image volumes are pulled before any container starts; one that is missing keeps them all waiting. */
async function pullVolumes(deps: PodWorkerDeps, pod: Pod): Promise<Waiting | undefined> {
  for (const { image } of pod.spec.volumes ?? []) {
    if (image) {
      const outcome = await pull(deps, pod, { image: image.reference, policy: image.pullPolicy });
      if (!isPulled(outcome)) {
        return outcome;
      }
    }
  }
  return undefined;
}

interface Wanted {
  readonly image: string;
  readonly policy: PullPolicy;
}

async function pull(deps: PodWorkerDeps, pod: Pod, wanted: Wanted): Promise<PulledImage | Waiting> {
  const { node } = deps;
  const { image, policy = 'IfNotPresent' } = wanted;
  try {
    const credentials = await findCredentials(deps, pod, image);
    const cached = policy === 'Always' ? undefined : await node.findImage(image, credentials);
    if (cached) {
      return cached;
    }
    if (policy === 'Never') {
      const message = `Container image "${image}" is not present with pull policy of Never`;
      return { reason: 'ErrImageNeverPull', message };
    }
    return node.keepImage(image, await pullImage(image, credentials, node.runtime));
  } catch (error) {
    if (error instanceof PullError) {
      return { reason: error.reason, message: error.message };
    }
    if (isTransient(error)) {
      // The pull secret could not be read; the image itself may be fine.
      return { reason: 'ContainerCreating' };
    }
    throw error;
  }
}

function backOff(failed: readonly Container[], outcomes: Map<string, PulledImage | Waiting>): void {
  for (const { name, image } of failed) {
    const outcome = outcomes.get(name);
    if (outcome && 'reason' in outcome && outcome.reason === 'ErrImagePull') {
      const message = `Back-off pulling image "${image}": ErrImagePull: ${outcome.message}`;
      outcomes.set(name, { reason: 'ImagePullBackOff', message });
    }
  }
}

/** Tries until the API server has taken it, or the pod is gone. */
async function report(kube: Kube, facts: StatusFacts, signal: AbortSignal): Promise<void> {
  const { pod } = facts;
  const body = { metadata: { uid: pod.metadata.uid }, status: podStatus(facts) };
  for (;;) {
    signal.throwIfAborted();
    try {
      await kube.patch(referenceTo(pod), body, {
        type: 'strategic',
        subresource: 'status',
        fieldManager: 'kubelet',
      });
      return;
    } catch (error) {
      if (!isTransient(error)) {
        throw error;
      }
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}
