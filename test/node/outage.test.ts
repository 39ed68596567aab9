/** The day this controller is for: the source is dead, the node has forgotten what it had pulled, new pods are wanted. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, waitForImages } from '../support/backed-up.ts';
import { installController, startController, type Controller } from '../support/controller.ts';
import { referenceTo } from '../support/kube.ts';
import { contentOf, NODE_IMAGES, pushNodeImage } from '../support/node/node-images.ts';
import { connectToNodeCluster } from '../support/node/node-test-cluster.ts';
import { withProbe } from '../support/node/serving.ts';
import type { Pod, Workload } from '../support/objects.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { listLivingPods, waitForRollout, waitingReasons } from '../support/rollout.ts';
import type { PushedImage } from '../support/seed-images.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToNodeCluster();
const { kube, backup, tools, processes, node, nodeProgram } = cluster;
const PREFIX = `${backup.host}/outage`;

let controller: Controller;
let mortal: Registry;
let image: PushedImage;
let backedUp: Workload;
let unprotected: Workload;

async function create(name: string, namespace: string): Promise<Workload> {
  const workload = withProbe(aDeployment({ namespace, name, images: [image.reference] }));
  return waitForRollout(kube, await kube.create(workload));
}

beforeAll(async () => {
  mortal = await startRegistry({ tools, processes, name: 'mortal', address: cluster.address });
  await cluster.allowRegistry(mortal);
  image = await pushNodeImage(mortal, NODE_IMAGES.web, nodeProgram);
  const namespaces = [await cluster.createNamespace(), await cluster.createNamespace('excluded')] as const;
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    INSECURE_REGISTRIES: `${mortal.host},${backup.host}`,
    SOURCE_HOSTS: mortal.host,
    NAMESPACES_EXCLUDE_LIST: 'kube-*,excluded-*',
  });
  controller = await startController(cluster, { name: 'outage', registries: [backup] });
  [backedUp, unprotected] = await Promise.all([create('web', namespaces[0]), create('web', namespaces[1])]);
  await waitForImages(kube, backedUp, [copyOf(image, PREFIX)]);

  await mortal.stop();
  await cluster.emptyImageCache();
});

afterAll(async () => {
  await controller.program.stop();
});

it('a workload that is backed up gets its new pods, and they answer', async () => {
  await kube.patch(referenceTo(backedUp), { spec: { replicas: 3 } });
  await waitForRollout(kube, backedUp);
  const pods = await listLivingPods(kube, backedUp);
  expect(pods).toHaveLength(3);
  for (const pod of pods) {
    expect(pod.status?.containerStatuses?.[0]?.imageID).toMatch(new RegExp(`@${image.digest}$`));
  }
  const answers = (await cluster.askPods(backedUp)).map(({ content }) => content);
  expect(answers).toEqual(node ? pods.map(() => contentOf(NODE_IMAGES.web)) : []);
});

it('one that is not ends in ImagePullBackOff', async () => {
  await kube.patch(referenceTo(unprotected), { spec: { replicas: 2 } });
  const { message } = await waitFor(
    async () =>
      (await listLivingPods(kube, unprotected))
        .flatMap(waitingReasons)
        .find(({ reason }) => reason === 'ImagePullBackOff'),
    { what: 'a pod to give up', deadlineMs: 60_000 },
  );
  expect(message).toContain('connection refused');
  expect(message).toContain(image.reference);
});

it('all pods of the backed-up workload can be replaced, as when a node is drained', async () => {
  const before = await listLivingPods(kube, backedUp);
  await cluster.emptyImageCache();
  for (const pod of before) {
    await evict(pod);
  }
  const old = new Set(before.map(({ metadata }) => metadata.uid));
  await waitFor(
    async () => {
      await waitForRollout(kube, backedUp);
      const pods = await listLivingPods(kube, backedUp);
      return pods.length === 3 && pods.every(({ metadata }) => !old.has(metadata.uid));
    },
    { what: 'three new pods', deadlineMs: 60_000 },
  );
});

/** As `kubectl drain` does with each pod of a node. */
async function evict({ metadata: { name, namespace } }: Pod): Promise<void> {
  await kube.request({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/pods/${name}/eviction`,
    body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } },
  });
}
