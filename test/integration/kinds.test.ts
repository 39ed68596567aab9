/** StatefulSets and CronJobs on the real API server, with its own controllers. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { changeSettings, installAndStart, type Controller } from '../support/controller.ts';
import { imagesOfRuns, readCronJob, startRun, waitForRun } from '../support/cron-jobs.ts';
import { waitForEvent } from '../support/events.ts';
import { waitForRollout } from '../support/rollout.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aCronJob, aDeployment, aStatefulSet } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, backup, images } = cluster;
const PREFIX = `${backup.host}/kinds`;
const ALL_KINDS = { WORKLOAD_KINDS: 'Deployment,DaemonSet,StatefulSet,CronJob' };

let controller: Controller;
let namespace: string;

beforeAll(async () => {
  namespace = await cluster.createNamespace('kinds');
  controller = await installAndStart(cluster, 'kinds');
});

afterAll(async () => {
  await controller.program.stop();
});

it('leaves StatefulSets alone until their kind is named, and again when it is not, without a restart', async () => {
  const { singleManifest, dockerList } = images;
  const create = (name: string) =>
    kube.create(aStatefulSet({ namespace, name, images: [singleManifest.reference] }));
  const first = await create('first');
  await waitForRollout(kube, first);
  const web = await kube.create(aDeployment({ namespace, name: 'web', images: [dockerList.reference] }));
  await waitForImages(kube, web, [copyOf(dockerList, PREFIX)]);
  expect(imagesOf(await read(kube, first))).toEqual([singleManifest.reference]);

  await changeSettings(kube, ALL_KINDS);
  await waitForImages(kube, first, [copyOf(singleManifest, PREFIX)]);

  await changeSettings(kube, { WORKLOAD_KINDS: null });
  const second = await create('second');
  await waitForRollout(kube, second);
  const api = await kube.create(aDeployment({ namespace, name: 'api', images: [singleManifest.reference] }));
  await waitForImages(kube, api, [copyOf(singleManifest, PREFIX)]);
  expect((await read(kube, second)).metadata.generation).toBe(second.metadata.generation);
});

it('swaps every pod of a StatefulSet, one after the other', async () => {
  await changeSettings(kube, ALL_KINDS);
  const created = await kube.create(
    aStatefulSet({ namespace, name: 'db', replicas: 3, images: [images.multiPlatform.reference] }),
  );
  await waitForRollout(kube, created);
  await waitForImages(kube, created, [copyOf(images.multiPlatform, PREFIX)]);
  expect(await waitForEvent(kube, created, 'ImageSwapped')).toMatch(/^Runs from the backup now: main/);
});

it('swaps a CronJob at once, whose next run pulls the copy', async () => {
  await changeSettings(kube, { ...ALL_KINDS, MAX_CONCURRENT_ROLLOUTS: '1' });
  const cronJob = await kube.create(
    aCronJob({ namespace, name: 'nightly', images: [images.dockerList.reference] }),
  );
  const copy = copyOf(images.dockerList, PREFIX);
  const swapped = await waitFor(
    async () => {
      const now = await readCronJob(kube, cronJob);
      return imagesOfRuns(now)[0] === copy ? now : undefined;
    },
    { what: 'the CronJob to be swapped' },
  );
  await waitForEvent(kube, cronJob, 'ImageSwapped');
  const pods = await waitForRun(kube, await startRun(kube, swapped));
  expect(pods[0]?.spec.containers.map(({ image }) => image)).toEqual([copy]);
  expect((await readCronJob(kube, cronJob)).metadata.generation).toBe(swapped.metadata.generation);
});
