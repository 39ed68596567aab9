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

/**
 * What a pod waits for in a slot, whatever image admission has written there. For an image volume, the container that
 * mounts it waits, for the same reasons, and the message quotes the image.
 */
function findWaiting({ containers, volumes = [] }: Pod, slot: Slot): PodContainer['waiting'] {
  const quoted = volumes.filter(({ name }) => name === slot.name).map(({ image }) => `"${image}"`);
  const isOfSlot = ({ name, waiting }: PodContainer): boolean =>
    slot.place === 'volumes'
      ? [`"${slot.image}"`, ...quoted].some((text) => waiting?.message.includes(text))
      : name === slot.name;
  return containers.find((container) => isPullFailure(container) && isOfSlot(container))?.waiting;
}

/** The first of these slots that keeps a pod from starting. The pods have to be of the template that has the slots. */
export function findPullFailure(slots: readonly Slot[], pods: readonly Pod[]): PullFailure | undefined {
  for (const slot of slots) {
    for (const pod of pods) {
      const waiting = findWaiting(pod, slot);
      if (waiting) {
        return { slot, ...waiting };
      }
    }
  }
  return undefined;
}
