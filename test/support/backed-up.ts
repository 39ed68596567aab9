import { referenceTo, type Kube } from './kube.ts';
import type { Workload } from './objects.ts';
import { waitForRollout } from './rollout.ts';
import type { PushedImage } from './seed-images.ts';
import { waitFor } from './wait-for.ts';

/** What an image becomes below a prefix. */
export function copyOf(
  { host, repository, tag, digest }: Omit<PushedImage, 'sizeBytes'>,
  prefix: string,
): string {
  return `${prefix}/${host.replace(':', '_')}/${repository}:${tag}@${digest}`;
}

/** Of the template: init containers first. */
export function imagesOf({ spec }: Workload): readonly string[] {
  const { initContainers = [], containers } = spec.template.spec;
  return [...initContainers, ...containers].map(({ image }) => image);
}

/** The workload as it is now. */
export async function read(kube: Kube, workload: Workload): Promise<Workload> {
  const now = await kube.get<Workload>(referenceTo(workload));
  if (!now) {
    throw new Error(`${workload.metadata.name} is gone`);
  }
  return now;
}

/** Returns once all pods run these images. */
export async function waitForImages(
  kube: Kube,
  workload: Workload,
  expected: readonly string[],
): Promise<Workload> {
  return waitFor(
    async () => {
      const now = await waitForRollout(kube, workload);
      return imagesOf(now).join() === expected.join() ? now : undefined;
    },
    { what: `${workload.metadata.name} to run ${expected.join(', ')}` },
  );
}
