/** The backup moves to another registry after the sources of its images have gone. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { aPullSecret } from '../support/docker-config.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { createAndRollOut, waitForRollout } from '../support/rollout.ts';
import { pushImage, SAMPLE_IMAGES } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { aDaemonSet, aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, tools, processes } = cluster;

let source: Registry;
let former: Registry;
let next: Registry;
let controller: Controller;
let namespace: string;

beforeAll(async () => {
  source = await startRegistry({ tools, processes, name: 'move-source' });
  former = await startRegistry({ tools, processes, name: 'move-former', auth: true });
  next = await startRegistry({ tools, processes, name: 'move-next' });
  namespace = await cluster.createNamespace('move');
  await kube.create(aPullSecret({ namespace, name: 'former' }, former));
  await installController(cluster, {
    REGISTRY_PREFIX: `${former.host}/old`,
    INSECURE_REGISTRIES: [source, former, next].map(({ host }) => host).join(','),
    REQUEUE_AFTER: '1s',
  });
  controller = await startController(cluster, { name: 'move-backup', registries: [former] });
});

afterAll(async () => {
  await controller.program.stop();
  await Promise.all([source, former, next].map((registry) => registry.stop().catch(() => undefined)));
});

it('takes the copies along, index and single manifest alike', async () => {
  const index = await pushImage(source, SAMPLE_IMAGES.multiPlatform);
  const single = await pushImage(source, SAMPLE_IMAGES.singleManifest);
  const options = { namespace, pullSecrets: ['former'] };
  const web = aDeployment({ ...options, images: [index.reference] });
  const agent = aDaemonSet({ ...options, name: 'agent', images: [single.reference] });
  await Promise.all([web, agent].map((workload) => createAndRollOut(kube, workload)));
  await waitForImages(kube, web, [copyOf(index, `${former.host}/old`)]);
  await waitForImages(kube, agent, [copyOf(single, `${former.host}/old`)]);
  await Promise.all([web, agent].map((workload) => waitForRollout(kube, workload)));

  await source.stop();
  await changeSettings(kube, { REGISTRY_PREFIX: `${next.host}/new` });
  await waitForImages(kube, web, [copyOf(index, `${next.host}/new`)]);
  await waitForImages(kube, agent, [copyOf(single, `${next.host}/new`)]);
  await Promise.all([web, agent].map((workload) => waitForRollout(kube, workload)));
  const moved = (await controller.log())
    .filter(({ message }) => message === 'copy verified')
    .map((line) => String(line['source']));
  expect(moved.filter((from) => from.startsWith(`${former.host}/old/`))).toHaveLength(2);
});
