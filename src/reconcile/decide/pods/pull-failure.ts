import type { Pod, PodContainer, Slot } from '../../../workloads/workload.ts';

/** Reasons of the kubelet for which a container waits because of its image. */
const REASONS: ReadonlySet<string> = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'RegistryUnavailable',
  'SignatureValidationFailed',
  'ImageInspectError',
]);

/** Whether a container waits because of its image, or one that it mounts. */
export function isPullFailure({ waiting }: PodContainer): boolean {
  return waiting !== undefined && REASONS.has(waiting.reason);
}

/** A slot whose image a node cannot have, in the words of the kubelet. */
export interface PullFailure {
  readonly slot: Slot;
  readonly reason: string;
  readonly message: string;
}

/** What keeps pods from starting, looked up by slot: there may be many of both. */
export interface PullFailures {
  /**
   * The first that there is in a slot, whatever image admission has written there. With `isMeant`, only of containers
   * that have the image which is meant.
   */
  find(slot: Slot, isMeant?: (container: PodContainer) => boolean): PullFailure | undefined;
}

/** What a pod waits for, by the texts that the kubelet quotes. */
interface Quotes {
  readonly pod: Pod;
  readonly byText: ReadonlyMap<string, { readonly at: number; readonly waiting: PodContainer['waiting'] }>;
}

function readQuotes(pod: Pod): Quotes {
  const byText = new Map<string, { readonly at: number; readonly waiting: PodContainer['waiting'] }>();
  for (const [at, container] of pod.containers.entries()) {
    const quoted = isPullFailure(container) ? (container.waiting?.message.split('"').slice(1, -1) ?? []) : [];
    for (const text of quoted) {
      if (!byText.has(text)) {
        byText.set(text, { at, waiting: container.waiting });
      }
    }
  }
  return { pod, byText };
}

/**
 * For an image volume, the container that mounts it waits, for the same reasons as for its own image, and the message quotes
 * the image.
 */
function findQuoted(slot: Slot, quotes: readonly Quotes[]): PodContainer['waiting'] {
  for (const { pod, byText } of quotes) {
    const written = (pod.volumes ?? []).filter(({ name }) => name === slot.name).map(({ image }) => image);
    const [first] = [slot.image, ...written]
      .flatMap((text) => byText.get(text) ?? [])
      .toSorted((a, b) => a.at - b.at);
    if (first) {
      return first.waiting;
    }
  }
  return undefined;
}

/** The pods have to be of the template that has the slots. */
export function listPullFailures(pods: readonly Pod[]): PullFailures {
  const failing = pods.filter(({ containers }) => containers.some(isPullFailure));
  const byName = Map.groupBy(
    failing.flatMap(({ containers }) => containers.filter(isPullFailure)),
    ({ name }) => name,
  );
  let quotes: readonly Quotes[] | undefined;
  return {
    find(slot, isMeant = () => true) {
      quotes ??= slot.place === 'volumes' ? failing.map(readQuotes) : undefined;
      const waiting =
        slot.place === 'volumes'
          ? findQuoted(slot, quotes ?? [])
          : byName.get(slot.name)?.find(isMeant)?.waiting;
      return waiting && { slot, ...waiting };
    },
  };
}

/** The first of these slots that keeps a pod from starting. */
export function findPullFailure(slots: readonly Slot[], pods: readonly Pod[]): PullFailure | undefined {
  const failures = listPullFailures(pods);
  for (const slot of slots) {
    const failure = failures.find(slot);
    if (failure) {
      return failure;
    }
  }
  return undefined;
}
