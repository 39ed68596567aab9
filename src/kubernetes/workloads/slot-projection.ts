import type { Slot } from '../../workloads/workload.ts';
import { type JsonObject, asArray, asObject, asText } from '../decode/json.ts';
import { cutText } from '../decode/own-text.ts';

/** No reference is longer; kept texts end in something that no reference has, so they stay as invalid as they are. */
const LONGEST_IMAGE = 1_024;
/** Limits of the API server; of pull policies it knows three. */
const LONGEST_NAME = 63;
const LONGEST_POLICY = 16;

export function limitImage(image: string): string {
  return image.length > LONGEST_IMAGE ? `${cutText(image, LONGEST_IMAGE)} (cut)` : image;
}

function toSlot(
  place: Slot['place'],
  options: { name: unknown; image: unknown; pullPolicy: unknown },
): Slot[] {
  const name = asText(options.name);
  const image = asText(options.image);
  const pullPolicy = asText(options.pullPolicy);
  if (name === undefined || image === undefined) {
    return [];
  }
  return [
    {
      place,
      name: cutText(name, LONGEST_NAME),
      image: limitImage(image),
      ...(pullPolicy === undefined ? {} : { pullPolicy: cutText(pullPolicy, LONGEST_POLICY) }),
    },
  ];
}

function containerSlots(place: 'containers' | 'initContainers', list: unknown): Slot[] {
  return asArray(list).flatMap((item) => {
    const { name, image, imagePullPolicy } = asObject(item);
    return toSlot(place, { name, image, pullPolicy: imagePullPolicy });
  });
}

/** Volumes that are images; all the others have no slot. */
export function volumeSlots(list: unknown): Slot[] {
  return asArray(list).flatMap((item) => {
    const { name, image } = asObject(item);
    const { reference, pullPolicy } = asObject(image);
    return toSlot('volumes', { name, image: reference, pullPolicy });
  });
}

/** The slots of the spec of a pod. */
export function projectSlots(spec: JsonObject): readonly Slot[] {
  return [
    ...containerSlots('containers', spec['containers']),
    ...containerSlots('initContainers', spec['initContainers']),
    ...volumeSlots(spec['volumes']),
  ];
}

/** The slots of a raw pod. */
export function projectPodSlots(raw: unknown): readonly Slot[] {
  return projectSlots(asObject(asObject(raw)['spec']));
}
