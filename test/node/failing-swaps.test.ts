/** Swaps whose pods a real kubelet cannot start, or cannot get ready: the workload gets back what it had. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, imagesOf, read } from '../support/backed-up.ts';
import { installController, startController, type Controller } from '../support/controller.ts';
import { waitForEvent } from '../support/events.ts';
import { referenceTo } from '../support/kube.ts';
import { contentOf, NODE_IMAGES } from '../support/node/node-images.ts';
import { connectToNodeCluster } from '../support/node/node-test-cluster.ts';
import { withProbe } from '../support/node/serving.ts';
import type { Workload } from '../support/objects.ts';
import { REWRITES, startPodPolicy } from '../support/pod-policy.ts';
import { createAndRollOut, listLivingPods, waitForRollout } from '../support/rollout.ts';
import { CRASHING_ANNOTATION } from '../support/test-kubelet.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToNodeCluster();
const { kube, source, backup, images, node } = cluster;
const PREFIX = `${backup.host}/failing`;
/** Nobody listens there. */
const NOWHERE = `${cluster.address}:1`;

let controller: Controller;

beforeAll(async () => {
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
    SOURCE_HOSTS: source.host,
    REQUEUE_AFTER: '1s',
    ROLLOUT_TIMEOUT: '20s',
  });
  controller = await startController(cluster, { name: 'failing-swaps', registries: [backup] });
});

afterAll(async () => {
  await controller.program.stop();
});

/** What the pods answer; with the test kubelet, where nobody can, nothing. */
async function expectToServe(workload: Workload, expected: string): Promise<void> {
  const contents = (await cluster.askPods(workload)).map(({ content }) => content);
  expect(contents).toEqual(node ? [expected] : []);
}

it('a workload whose pods a policy sends to a mirror that is not there serves again', async () => {
  const namespace = await cluster.createNamespace();
  const { reference } = images.web;
  const policy = await startPodPolicy(kube, {
    namespace,
    rewrite: REWRITES.host(backup.host, NOWHERE),
    example: copyOf(images.web, PREFIX),
  });
  const plain = withProbe(aDeployment({ namespace, images: [reference] }));
  const recreate = { ...plain, spec: { ...plain.spec, strategy: { type: 'Recreate' } } };
  const web = await createAndRollOut(kube, recreate);
  const told = await waitForEvent(kube, web, 'SwapRolledBack');
  expect(told).toMatch(/a node cannot run the copy of main: (?:ErrImagePull|ImagePullBackOff): /);
  expect(told).toContain(NOWHERE);
  const restored = await waitForRollout(kube, web);
  expect(imagesOf(restored)).toEqual([reference]);
  await expectToServe(restored, contentOf(NODE_IMAGES.web));
  await policy.remove();
});

it('a workload whose new pod crashes, because its configuration has changed, goes on with the old one', async () => {
  const namespace = await cluster.createNamespace();
  const { reference } = images.single;
  const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name: 'settings' } };
  await kube.create({ ...settings, data: { port: '8080' } });
  const port = { configMapKeyRef: { name: 'settings', key: 'port' } };
  const container = {
    name: 'main',
    image: reference,
    args: ['serve', '$(PORT)'],
    env: [{ name: 'PORT', valueFrom: port }],
  };
  const annotations = { 'backup-image-registry/policy': 'ignore' };
  // The test kubelet runs no program that could crash by itself.
  const podAnnotations = { [CRASHING_ANNOTATION]: backup.host };
  const web = await createAndRollOut(
    kube,
    withProbe(
      aDeployment({
        namespace,
        images: [],
        annotations,
        podAnnotations,
        podSpec: { containers: [container] },
      }),
    ),
  );
  const [served] = await listLivingPods(kube, web);
  await kube.patch(referenceTo(settings), { data: { port: 'none' } });
  await kube.patch(referenceTo(web), { metadata: { annotations: { 'backup-image-registry/policy': null } } });

  expect(await waitForEvent(kube, web, 'SwapRolledBack')).toMatch(
    /because the pod app-\S+ with the copies does not become ready: (?:CrashLoopBackOff: back-off \S+ restarting failed container=main|containers with unready status: \[main\])/,
  );
  const restored = await waitForRollout(kube, web);
  expect(imagesOf(restored)).toEqual([reference]);
  const pods = await listLivingPods(kube, restored);
  expect(pods.map(({ metadata }) => metadata.uid)).toEqual([served?.metadata.uid]);
  await expectToServe(await read(kube, restored), contentOf(NODE_IMAGES.single));
});
