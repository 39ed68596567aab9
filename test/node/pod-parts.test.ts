/** Everything in a pod that names an image, on a node that starts it: init container, sidecar, image volume. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, imagesOf, waitForImages } from '../support/backed-up.ts';
import { installController, startController, type Controller } from '../support/controller.ts';
import { contentOf, NODE_IMAGES } from '../support/node/node-images.ts';
import { connectToNodeCluster } from '../support/node/node-test-cluster.ts';
import { withProbe } from '../support/node/serving.ts';
import type { PodSpec } from '../support/objects.ts';
import { createAndRollOut } from '../support/rollout.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToNodeCluster();
const { kube, source, backup, images, node } = cluster;
const PREFIX = `${backup.host}/parts`;

let controller: Controller;

beforeAll(async () => {
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
    SOURCE_HOSTS: source.host,
  });
  controller = await startController(cluster, { name: 'parts', registries: [backup] });
});

afterAll(async () => {
  await controller.program.stop();
});

it('an init container, a sidecar and an image volume run from the backup', async () => {
  const namespace = await cluster.createNamespace();
  const { web, init, sidecar, files } = images;
  const podSpec: Partial<PodSpec> = {
    initContainers: [
      { name: 'init', image: init.reference },
      { name: 'sidecar', image: sidecar.reference, restartPolicy: 'Always' },
    ],
    containers: [
      {
        name: 'main',
        image: web.reference,
        volumeMounts: [{ name: 'files', mountPath: '/volume', readOnly: true }],
      },
    ],
    volumes: [{ name: 'files', image: { reference: files.reference } }],
  };
  const workload = withProbe(aDeployment({ namespace, images: [], podSpec }));
  const created = await createAndRollOut(kube, workload);
  const copies = [init, sidecar, web].map((image) => copyOf(image, PREFIX));
  const swapped = await waitForImages(kube, created, copies);
  expect(imagesOf(swapped)).toEqual(copies);
  expect(swapped.spec.template.spec.volumes?.[0]?.image?.reference).toBe(copyOf(files, PREFIX));

  const main = { content: contentOf(NODE_IMAGES.web), volume: contentOf(NODE_IMAGES.files) };
  expect(await cluster.askPods(swapped)).toMatchObject(node ? [main] : []);
  const beside = { content: contentOf(NODE_IMAGES.sidecar) };
  expect(await cluster.askPods(swapped, 9090)).toMatchObject(node ? [beside] : []);
});
