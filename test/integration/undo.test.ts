/** Swaps that the nodes cannot follow, on the real API server: the workload gets back what it had. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import { aPullSecret } from '../support/docker-config.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { createAndRollOut, waitForRollout } from '../support/rollout.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, images, tools, processes } = cluster;

let controller: Controller;
/** Wants credentials that the controller has, and the nodes have not. */
let locked: Registry;
let prefix: string;

beforeAll(async () => {
  locked = await startRegistry({ tools, processes, name: 'locked-backup', auth: true });
  prefix = `${locked.host}/undo`;
  await installController(cluster, {
    REGISTRY_PREFIX: prefix,
    INSECURE_REGISTRIES: `${source.host},${locked.host}`,
    REQUEUE_AFTER: '1s',
  });
  controller = await startController(cluster, { name: 'undo', registries: [locked] });
});

afterAll(async () => {
  await controller.program.stop();
});

it('puts the originals back when no pod could pull the copy, says why, and holds', async () => {
  const namespace = await cluster.createNamespace();
  const { reference } = images.singleManifest;
  const recreate = aDeployment({ namespace, images: [reference] });
  const web = await createAndRollOut(kube, {
    ...recreate,
    spec: { ...recreate.spec, strategy: { type: 'Recreate' } },
  });
  expect(await waitForEvent(kube, web, 'SwapRolledBack')).toMatch(
    /a node cannot run the copy of main: \w+: .*no basic auth credentials\. Give the nodes access/,
  );
  const restored = await waitForRollout(kube, web);
  expect(imagesOf(restored)).toEqual([reference]);
  expect(restored.metadata.annotations).not.toHaveProperty('backup-image-registry/original-images');

  // Every workload is looked at again, this one is left alone.
  await changeSettings(kube, { COPY_CONCURRENCY: '2' });
  const other = await createAndRollOut(
    kube,
    aDeployment({
      namespace,
      name: 'other',
      images: [images.dockerList.reference],
      pullSecrets: ['backup'],
    }),
  );
  await kube.create(aPullSecret({ namespace, name: 'backup' }, locked));
  await waitForImages(kube, other, [copyOf(images.dockerList, prefix)]);
  expect((await read(kube, web)).metadata.generation).toBe(restored.metadata.generation);
  const events = await listEvents(kube, web);
  const reasons = events.map(({ reason }) => reason);
  expect(reasons.toSorted(), events.map(({ note }) => note).join('\n')).toEqual([
    'ImageSwapped',
    'SwapRolledBack',
  ]);
  await waitFor(
    async () => (await (await fetch(controller.metricsUrl)).text()).includes('result="undone"} 1'),
    {
      what: 'the metric',
    },
  );
});
