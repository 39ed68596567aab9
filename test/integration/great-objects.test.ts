/** A tenant fills the API server with the largest objects that it takes; the heap of the controller is small. */
import PQueue from 'p-queue';
import { beforeAll, describe, expect, it } from 'vitest';

import { copyOf, waitForImages } from '../support/backed-up.ts';
import { installController, startController } from '../support/controller.ts';
import { waitForEvent } from '../support/events.ts';
import type { Workload } from '../support/objects.ts';
import { createAndRollOut } from '../support/rollout.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images } = cluster;
const PREFIX = `${backup.host}/great`;

/** Half of that of a pod, and half of the 130 objects that would fill that: the API server needs memory, too. */
const HEAP_MB = 64;
const ENDLESS_IMAGES = 60;
/** Of one namespace, 16 MiB are kept. */
const LONG_RECORDS = 60;

/** Its controller makes no copy of the template. */
function aPausedDeployment(options: Parameters<typeof aDeployment>[0]): Workload {
  const workload = aDeployment({ ...options, replicas: 0 });
  return { ...workload, spec: { ...workload.spec, paused: true } };
}

function endless(length: number): string {
  return 'x'.repeat(length);
}

/** A few at a time: each takes the API server a while. */
async function createAll(workloads: readonly Workload[]): Promise<readonly Workload[]> {
  return new PQueue({ concurrency: 6 }).addAll(workloads.map((workload) => () => kube.create(workload)));
}

describe('a heap of half the size, and objects of the greatest size', () => {
  let withEndlessImage: readonly Workload[];
  let withLongRecord: readonly Workload[];
  let withManyContainers: Workload | undefined;

  beforeAll(async () => {
    const [evil, wordy] = [await cluster.createNamespace('evil'), await cluster.createNamespace('wordy')];
    withEndlessImage = await createAll(
      Array.from({ length: ENDLESS_IMAGES }, (_, n) =>
        aPausedDeployment({
          namespace: evil,
          name: `endless-${n}`,
          images: [`evil.invalid/${endless(1_100_000)}`],
        }),
      ),
    );
    withLongRecord = await createAll(
      Array.from({ length: LONG_RECORDS }, (_, n) =>
        aPausedDeployment({
          namespace: wordy,
          name: `wordy-${n}`,
          images: ['evil.invalid/app:1'],
          annotations: { 'backup-image-registry/status': JSON.stringify({ v: 1, uid: endless(200_000) }) },
        }),
      ),
    );
    const manyImages = Array.from({ length: 3_000 }, () => 'evil.invalid/app:1');
    [withManyContainers] = await createAll([
      aPausedDeployment({ namespace: evil, name: 'many', images: manyImages }),
    ]);
    await installController(cluster, {
      REGISTRY_PREFIX: PREFIX,
      INSECURE_REGISTRIES: `${source.host},${backup.host}`,
      REQUEUE_AFTER: '1s',
      // Nobody looks up the names of the other images.
      SOURCE_HOSTS: source.host,
    });
  });

  it(
    'do not keep others from being backed up, and each is told why it is left alone',
    { tags: 'attack-size' },
    async () => {
      const controller = await startController(cluster, {
        name: 'great',
        registries: [backup],
        environment: { NODE_OPTIONS: `--max-semi-space-size=4 --max-old-space-size=${HEAP_MB}` },
      });
      const namespace = await cluster.createNamespace('neighbour');
      const image = images.singleManifest;
      const workload = await createAndRollOut(kube, aDeployment({ namespace, images: [image.reference] }));
      await waitForImages(kube, workload, [copyOf(image, PREFIX)]);

      expect(await waitForEvent(kube, withManyContainers as Workload, 'TooLarge')).toContain(
        'its template has 3000 images, and 100 is the limit',
      );
      expect(await waitForEvent(kube, withEndlessImage.at(-1) as Workload, 'InvalidImage')).toContain(
        'characters',
      );
      expect(await waitForEvent(kube, withLongRecord.at(-1) as Workload, 'TooLarge')).toContain(
        'take more than the 16 MiB of memory',
      );
      expect((await fetch(`${controller.healthUrl}/healthz`)).ok).toBe(true);
    },
  );
});
