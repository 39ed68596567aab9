/** Copies that the nodes cannot pull, of kinds whose controllers do not replace a pod that never started. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { imagesOf, read } from '../support/backed-up.ts';
import {
  changeSettings,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { imagesOfRuns, readCronJob, startRun, waitForRun } from '../support/cron-jobs.ts';
import { waitForEvent } from '../support/events.ts';
import { startRegistry } from '../support/registry.ts';
import { createAndRollOut, listLivingPods, listPods, waitForRollout } from '../support/rollout.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aCronJob, aDaemonSet, aStatefulSet } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, images, tools, processes } = cluster;

let controller: Controller;
let namespace: string;

beforeAll(async () => {
  namespace = await cluster.createNamespace('kinds-undo');
  // Wants credentials that the controller has, and the nodes have not.
  const locked = await startRegistry({ tools, processes, name: 'kinds-undo', auth: true });
  await installController(cluster, {
    REGISTRY_PREFIX: `${locked.host}/kinds`,
    INSECURE_REGISTRIES: `${source.host},${locked.host}`,
    REQUEUE_AFTER: '1s',
    WORKLOAD_KINDS: 'DaemonSet,StatefulSet,CronJob',
  });
  controller = await startController(cluster, { name: 'kinds-undo', registries: [locked] });
});

afterAll(async () => {
  await controller.program.stop();
});

it.each(['OrderedReady', 'Parallel'])(
  'gets a StatefulSet whose pods are managed as %s running again after an undo',
  async (podManagementPolicy) => {
    const { reference } = images.singleManifest;
    const name = podManagementPolicy.toLowerCase();
    const plain = aStatefulSet({ namespace, name, images: [reference] });
    const db = await createAndRollOut(kube, { ...plain, spec: { ...plain.spec, podManagementPolicy } });
    await waitForEvent(kube, db, 'SwapRolledBack');
    const restored = await waitForRollout(kube, db);
    expect(imagesOf(restored)).toEqual([reference]);
    const pods = await listPods(kube, restored);
    expect(pods.flatMap(({ spec }) => spec.containers.map(({ image }) => image))).toEqual([reference]);
  },
);

it('gets the run of a CronJob going again that could not pull the copy', async () => {
  const { reference } = images.dockerList;
  const cronJob = await kube.create(aCronJob({ namespace, name: 'nightly', images: [reference] }));
  const swapped = await waitFor(
    async () => {
      const now = await readCronJob(kube, cronJob);
      return imagesOfRuns(now)[0] === reference ? undefined : now;
    },
    { what: 'the CronJob to be swapped' },
  );
  const job = await startRun(kube, swapped);
  expect(await waitForEvent(kube, cronJob, 'SwapRolledBack')).toMatch(
    /a node cannot run the copy of main: (?:ErrImagePull|ImagePullBackOff)/,
  );
  const pods = await waitForRun(kube, job);
  expect(pods.flatMap(({ spec }) => spec.containers.map(({ image }) => image))).toEqual([reference]);
  expect(imagesOfRuns(await readCronJob(kube, cronJob))).toEqual([reference]);
  expect(await waitForEvent(kube, cronJob, 'PodRestored')).toMatch(/it has the image of the template now/);
});

it('gets a DaemonSet that updates on deletion running again once a deleted pod could not pull the copy', async () => {
  // Three failures in a row stop all swaps until somebody edits the settings.
  await changeSettings(kube, { ROLLOUT_TIMEOUT: '9m' });
  const { reference } = images.singleManifest;
  const plain = aDaemonSet({ namespace, name: 'on-delete', images: [reference] });
  const agent = await kube.create({
    ...plain,
    spec: { ...plain.spec, updateStrategy: { type: 'OnDelete' } },
  });
  await waitForEvent(kube, agent, 'ImageSwapped');
  const [old] = await listLivingPods(kube, agent);
  await kube.delete({ apiVersion: 'v1', kind: 'Pod', namespace, name: old?.metadata.name ?? '' });
  expect(await waitForEvent(kube, agent, 'SwapRolledBack')).toMatch(/a node cannot run the copy of/);
  expect(imagesOf(await read(kube, agent))).toEqual([reference]);
  expect(await waitForEvent(kube, agent, 'PodRestored')).toMatch(/it has the image of the template now/);
  await waitFor(
    async () => {
      const pods = await listLivingPods(kube, agent);
      return pods.length > 0 && pods.every(({ status }) => status?.containerStatuses?.[0]?.ready);
    },
    { what: 'all pods to be ready again' },
  );
});
