/** The day this controller is for: the source is dead, the node has forgotten what it had pulled, new pods are wanted. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, read, waitForImages } from '../support/backed-up.ts';
import { installController, kubectl, startController, type Controller } from '../support/controller.ts';
import { referenceTo } from '../support/kube.ts';
import { contentOf, NODE_IMAGES, pushNodeImage } from '../support/node/node-images.ts';
import { connectToNodeCluster } from '../support/node/node-test-cluster.ts';
import { withProbe } from '../support/node/serving.ts';
import type { Pod, Workload } from '../support/objects.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { createAndRollOut, listLivingPods, waitForRollout, waitingReasons } from '../support/rollout.ts';
import type { PushedImage } from '../support/seed-images.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDaemonSet, aDeployment } from '../support/workload-builders.ts';

const cluster = connectToNodeCluster();
const { kube, backup, tools, processes, node, nodeProgram, nodes } = cluster;
const PREFIX = `${backup.host}/outage`;

let controller: Controller;
let mortal: Registry;
let image: PushedImage;
let backedUp: Workload;
let agent: Workload;
let unprotected: Workload;

async function create(workload: Workload): Promise<Workload> {
  return createAndRollOut(kube, withProbe(workload));
}

beforeAll(async () => {
  mortal = await startRegistry({ tools, processes, name: 'mortal', address: cluster.address });
  await cluster.allowRegistry(mortal);
  image = await pushNodeImage(mortal, NODE_IMAGES.web, nodeProgram);
  const namespaces = [await cluster.createNamespace(), await cluster.createNamespace('excluded')] as const;
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    REQUEUE_AFTER: '1s',
    INSECURE_REGISTRIES: `${mortal.host},${backup.host}`,
    SOURCE_HOSTS: mortal.host,
    NAMESPACES_EXCLUDE_LIST: 'kube-*,excluded-*',
  });
  controller = await startController(cluster, { name: 'outage', registries: [backup] });
  const images = [image.reference];
  [backedUp, agent, unprotected] = await Promise.all([
    create(aDeployment({ namespace: namespaces[0], name: 'web', images })),
    create(aDaemonSet({ namespace: namespaces[0], name: 'agent', images })),
    create(aDeployment({ namespace: namespaces[1], name: 'web', images })),
  ]);
  await waitForImages(kube, backedUp, [copyOf(image, PREFIX)]);
  await waitForImages(kube, agent, [copyOf(image, PREFIX)]);

  await mortal.stop();
  await cluster.emptyImageCache();
});

afterAll(async () => {
  // The node is for other tests, too, even when the one that drains it has failed.
  await kubectl(cluster, 'uncordon', ...nodes);
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
  expect(await contentsOf(backedUp)).toEqual(answers(3));
});

it('one that is not ends in ImagePullBackOff', async () => {
  await kube.patch(referenceTo(unprotected), { spec: { replicas: 2 } });
  const { message } = await waitFor(
    async () =>
      (await listLivingPods(kube, unprotected))
        .flatMap(waitingReasons)
        .find(({ reason }) => reason === 'ImagePullBackOff'),
    { what: 'a pod to give up' },
  );
  expect(message).toContain('connection refused');
  expect(message).toContain(image.reference);
});

it('everything backed up comes back to a node that was drained, cleaned and uncordoned', async () => {
  const [name = ''] = nodes;
  const before = await listPodsOfBoth();
  // All pods of the node but those of DaemonSets are evicted, and the command ends when they are gone.
  const drain = ['drain', name, '--ignore-daemonsets', '--delete-emptydir-data', '--force', '--timeout=60s'];
  const { stdout } = await kubectl(cluster, ...drain);
  expect(stdout).toContain(`node/${name} drained`);
  // What comes instead of them has no node to go to.
  const left = (await listPodsOfBoth()).filter(({ spec }) => spec.nodeName === name);
  expect(left.map(({ metadata }) => metadata.labels?.['app'])).toEqual(['agent']);
  await cluster.emptyImageCache();
  // As when the node is set up anew: it has no pod of the DaemonSet either.
  await Promise.all(left.map(({ metadata }) => kube.delete(podNamed(metadata))));
  await kubectl(cluster, 'uncordon', name);

  const old = new Set(before.map(({ metadata }) => metadata.uid));
  await waitFor(
    async () => {
      await Promise.all([backedUp, agent].map((workload) => waitForRollout(kube, workload)));
      const pods = await listPodsOfBoth();
      return pods.length === 4 && pods.every(({ metadata }) => !old.has(metadata.uid));
    },
    { what: 'four new pods' },
  );
  expect(await contentsOf(backedUp)).toEqual(answers(3));
  expect(await contentsOf(agent)).toEqual(answers(1));
  expect((await read(kube, unprotected)).status?.readyReplicas ?? 0).toBe(0);
});

async function listPodsOfBoth(): Promise<readonly Pod[]> {
  return (await Promise.all([backedUp, agent].map((one) => listLivingPods(kube, one)))).flat();
}

function podNamed({ name, namespace = '' }: Pod['metadata']) {
  return { apiVersion: 'v1', kind: 'Pod', namespace, name };
}

async function contentsOf(workload: Workload): Promise<readonly string[]> {
  return (await cluster.askPods(workload)).map(({ content }) => content);
}

/** Of so many pods; the test kubelet's do not answer. */
function answers(pods: number): readonly string[] {
  return node ? Array.from({ length: pods }, () => contentOf(NODE_IMAGES.web)) : [];
}
