import type { Pod, PodContainer, Slot } from '../../workloads/workload.ts';

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
 * Whether a container waits for the image of a slot. For an image volume, the container that mounts it waits, for the
 * same reasons, and the message quotes the image.
 */
function waitsFor(container: PodContainer, slot: Slot): boolean {
  const { name, image, waiting } = container;
  if (!waiting || !isPullFailure(container)) {
    return false;
  }
  return slot.place === 'volumes'
    ? waiting.message.includes(`"${slot.image}"`)
    : name === slot.name && image === slot.image;
}

/** The first of these slots that keeps a pod from starting. */
export function findPullFailure(slots: readonly Slot[], pods: readonly Pod[]): PullFailure | undefined {
  const containers = pods.flatMap((pod) => pod.containers);
  for (const slot of slots) {
    const waiting = containers.find((container) => waitsFor(container, slot))?.waiting;
    if (waiting) {
      return { slot, ...waiting };
    }
  }
  return undefined;
}
