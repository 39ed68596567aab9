/** A backup that the node cannot read: a real kubelet fails to pull, and the workload gets back what it had. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, imagesOf, waitForImages } from '../support/backed-up.ts';
import { installController, startController, type Controller } from '../support/controller.ts';
import { aPullSecret } from '../support/docker-config.ts';
import { waitForEvent } from '../support/events.ts';
import { connectToNodeCluster } from '../support/node/node-test-cluster.ts';
import { followSwaps, formatTimes } from '../support/node/swap-times.ts';
import { withProbe } from '../support/node/serving.ts';
import type { Workload } from '../support/objects.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { createAndRollOut, waitForRollout } from '../support/rollout.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToNodeCluster();
const { kube, source, images, tools, processes } = cluster;

let controller: Controller;
/** Wants credentials that the controller has, and the node has not. */
let locked: Registry;
let prefix: string;

async function create(workload: Workload, strategy: object): Promise<Workload> {
  const probed = withProbe(workload);
  return createAndRollOut(kube, { ...probed, spec: { ...probed.spec, strategy } });
}

beforeAll(async () => {
  locked = await startRegistry({
    tools,
    processes,
    name: 'locked-backup',
    auth: true,
    address: cluster.address,
  });
  await cluster.allowRegistry(locked);
  prefix = `${locked.host}/undo`;
  await installController(cluster, {
    REGISTRY_PREFIX: prefix,
    INSECURE_REGISTRIES: `${source.host},${locked.host}`,
    SOURCE_HOSTS: source.host,
    // It is a pod that wakes its workload.
    REQUEUE_AFTER: '10m',
  });
  controller = await startController(cluster, { name: 'undo', registries: [locked] });
});

afterAll(async () => {
  await controller.program.stop();
});

it('a workload whose pods cannot pull the copy gets its originals back', async () => {
  const namespace = await cluster.createNamespace();
  const { reference } = images.single;
  const web = await create(aDeployment({ namespace, images: [reference] }), { type: 'Recreate' });
  expect(await waitForEvent(kube, web, 'SwapRolledBack')).toMatch(
    /a node cannot run the copy of main: (?:ErrImagePull|ImagePullBackOff): .*no basic auth credentials/,
  );
  const restored = await waitForRollout(kube, web);
  expect(imagesOf(restored)).toEqual([reference]);
});

it('one whose old pods serve gets them back when the time that new ones have to pull is over', async () => {
  const namespace = await cluster.createNamespace();
  const { reference } = images.single;
  const times = followSwaps(kube, namespace);
  const web = await create(aDeployment({ namespace, images: [reference] }), { type: 'RollingUpdate' });
  await waitForEvent(kube, web, 'SwapRolledBack');
  const restored = await waitForRollout(kube, web);
  expect(imagesOf(restored)).toEqual([reference]);
  await times.stop();
  console.table(formatTimes(times.changedAtMs, times.backAtMs, 'from the swap to its undo'));
});

it('one that names a pull secret for the backup runs from it', async () => {
  const namespace = await cluster.createNamespace();
  await kube.create(aPullSecret({ namespace, name: 'backup' }, locked));
  const web = await create(
    aDeployment({ namespace, images: [images.web.reference], pullSecrets: ['backup'] }),
    { type: 'RollingUpdate' },
  );
  await waitForImages(kube, web, [copyOf(images.web, prefix)]);
});
