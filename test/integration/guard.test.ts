/** The controller at work where the component `guard` is installed, with its own account and roles. */
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { runCommand } from '../support/command.ts';
import {
  changeSettings,
  CONFIG_MAP,
  CONTROLLER_NAMESPACE,
  installController,
  kubectl,
  ROOT,
  startController,
  type Controller,
} from '../support/controller.ts';
import { imagesOfRuns, readCronJob } from '../support/cron-jobs.ts';
import { aPullSecret } from '../support/docker-config.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import { installGuard, refusalOf, removeGuard, stealToken } from '../support/guard.ts';
import { referenceTo } from '../support/kube.ts';
import type { KubeObject, Workload } from '../support/objects.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { createAndRollOut, listPods, waitForRollout } from '../support/rollout.ts';
import { pushImage, SAMPLE_IMAGES, type PushedImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { forgetPulledImages } from '../support/test-kubelet.ts';
import {
  aCronJob,
  aDaemonSet,
  aDeployment,
  aStatefulSet,
  type CronJob,
} from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images, tools, processes } = cluster;
const { multiPlatform, multiPlatformNext, dockerList, singleManifest } = images;
const PREFIX = `${backup.host}/guarded`;
const PULL_SECRET = 'backup-image-registry-pull';
const STATUS = 'backup-image-registry/status';
const COMPONENT = join(ROOT, 'config/components/pull-secret/rbac.yaml');

let controller: Controller;
/** Its copies can be made, but not pulled: the nodes have no credentials for it. */
let locked: Registry;
/** Of a source that goes away. */
let mortal: Registry;
let image: PushedImage;
/** All kinds, with everything that names an image. */
let workloads: readonly Workload[];
let nightly: CronJob;

beforeAll(async () => {
  locked = await startRegistry({ tools, processes, name: 'guard-locked', auth: true });
  mortal = await startRegistry({ tools, processes, name: 'guard-mortal' });
  image = await pushImage(mortal, SAMPLE_IMAGES.multiPlatform);
  await installController(cluster, {
    // As a user may write it.
    REGISTRY_PREFIX: ` ${PREFIX}/`,
    INSECURE_REGISTRIES: `${source.host},${backup.host},${locked.host},${mortal.host}`,
    NAMESPACES_EXCLUDE_LIST: 'kube-*,outside-*',
    WORKLOAD_KINDS: 'Deployment,DaemonSet,StatefulSet,CronJob',
    PULL_SECRET,
    REQUEUE_AFTER: '1s',
  });
  await kubectl(cluster, 'apply', '-f', COMPONENT);
  await kube.apply(aPullSecret({ namespace: CONTROLLER_NAMESPACE, name: PULL_SECRET }, backup));
  await installGuard(cluster, await cluster.createNamespace('outside'));
  controller = await startController(cluster, { name: 'guard', registries: [backup, locked] });
});

afterAll(async () => {
  await controller.program.stop();
  await removeGuard(cluster);
  await kubectl(cluster, 'delete', '--ignore-not-found', '-f', COMPONENT);
  await kube.delete({ apiVersion: 'v1', kind: 'Secret', namespace: CONTROLLER_NAMESPACE, name: PULL_SECRET });
});

function pullSecretsOf({ spec }: Workload): readonly string[] {
  return (spec.template.spec.imagePullSecrets ?? []).map(({ name }) => name);
}

async function expectNotDenied(...objects: readonly KubeObject[]): Promise<void> {
  const events = await Promise.all(objects.map(async (object) => listEvents(kube, object)));
  const denied = events.flat().filter(({ reason }) => /Denied|Forbidden/.test(reason));
  expect(denied.map(({ note }) => note)).toEqual([]);
}

it('swaps workloads of all kinds, with all that names an image, and hands out the pull secret', async () => {
  const namespace = await cluster.createNamespace('guarded');
  const options = {
    namespace,
    images: [multiPlatform.reference, dockerList.reference],
    initImages: [singleManifest.reference],
    podSpec: { volumes: [{ name: 'model', image: { reference: dockerList.reference } }] },
  };
  workloads = await Promise.all(
    [
      aDeployment({ ...options, name: 'web' }),
      aDaemonSet({ ...options, name: 'agent' }),
      aStatefulSet({ ...options, name: 'db' }),
    ].map(async (workload) => createAndRollOut(kube, workload)),
  );
  nightly = await kube.create(aCronJob({ ...options, name: 'nightly' }));
  const copies = [singleManifest, multiPlatform, dockerList].map((one) => copyOf(one, PREFIX));
  for (const workload of workloads) {
    const now = await waitForImages(kube, workload, copies);
    expect(now.spec.template.spec.volumes?.[0]?.image?.reference).toBe(copies[2]);
    expect(pullSecretsOf(now)).toEqual([PULL_SECRET]);
  }
  await waitForEvent(kube, nightly, 'ImageSwapped');
  expect(imagesOfRuns(await readCronJob(kube, nightly))).toEqual(copies.slice(1));
  await expectNotDenied(...workloads, nightly);
  // Pods that exist do not get it: without it, they can be helped as well.
  await changeSettings(kube, { PULL_SECRET: null });
});

it('swaps a CronJob of a hundred containers', async () => {
  const namespace = await cluster.createNamespace('guarded');
  const many = Array.from({ length: 100 }, () => multiPlatform.reference);
  const cronJob = await kube.create(aCronJob({ namespace, name: 'many', images: many }));
  await waitForEvent(kube, cronJob, 'ImageSwapped');
  await kube.patch(referenceTo(cronJob), {
    metadata: { annotations: { 'backup-image-registry/policy': 'ignore' } },
  });
});

it('swaps anew what a user has deployed, and writes down a hold for what a user has rolled back', async () => {
  const namespace = await cluster.createNamespace('guarded');
  const options = { namespace, images: [multiPlatform.reference] };
  const [web, api, agent] = await Promise.all(
    [
      aDeployment({ ...options, name: 'web' }),
      aDeployment({ ...options, name: 'api' }),
      aDaemonSet(options),
    ].map(async (one) => createAndRollOut(kube, one)),
  );
  for (const workload of [web, api, agent] as readonly Workload[]) {
    await waitForImages(kube, workload, [copyOf(multiPlatform, PREFIX)]);
  }
  const containers = [{ name: 'main', image: multiPlatformNext.reference }];
  const deploy = { spec: { template: { spec: { containers } } } };
  await kube.patch(referenceTo(web as Workload), deploy, { type: 'strategic' });
  for (const rolledBack of [api, agent] as readonly Workload[]) {
    const name = `${rolledBack.kind}/${rolledBack.metadata.name}`;
    // The annotations go with the revision of a Deployment, and not of a DaemonSet.
    await kubectl(cluster, 'rollout', 'undo', '-n', namespace, name);
    await waitForEvent(kube, rolledBack, 'SwapReverted');
    const status = (await read(kube, rolledBack)).metadata.annotations?.[STATUS] ?? '{}';
    expect(JSON.parse(status)).toMatchObject({ reverts: { holds: 1 } });
  }
  await waitForImages(kube, web as Workload, [copyOf(multiPlatformNext, PREFIX)]);
  await expectNotDenied(...([web, api, agent] as readonly Workload[]));
});

it('rescues workloads, down to the pod that nobody replaces', async () => {
  const [first, other] = [await cluster.createNamespace('guarded'), await cluster.createNamespace('guarded')];
  const swapped = await createAndRollOut(kube, aDeployment({ namespace: first, images: [image.reference] }));
  await waitForImages(kube, swapped, [copyOf(image, PREFIX)]);
  await mortal.stop();
  await forgetPulledImages(kube);
  const late = [aDeployment, aStatefulSet].map((build) =>
    build({ namespace: other, images: [image.reference] }),
  );
  for (const workload of await Promise.all(late.map(async (one) => kube.create(one)))) {
    await waitForImages(kube, workload, [copyOf(image, PREFIX)]);
    await waitForEvent(kube, workload, 'Rescued');
  }
});

it('puts back what nodes cannot pull: to originals, down to the pod, and to copies of a former prefix', async () => {
  const [first, second] = [await cluster.createNamespace('moved'), await cluster.createNamespace('moved')];
  const web = await createAndRollOut(kube, aDeployment({ namespace: first, images: [dockerList.reference] }));
  const before = [copyOf(dockerList, PREFIX)];
  await waitForImages(kube, web, before);
  // The others would fail as well, and three failures stop all swaps.
  await changeSettings(kube, {
    REGISTRY_PREFIX: `${locked.host}/moved`,
    NAMESPACES_EXCLUDE_LIST: 'kube-*,outside-*,guarded-*',
  });
  expect(await waitForEvent(kube, web, 'SwapRolledBack')).toContain('a node cannot run the copy');
  expect(imagesOf(await waitForRollout(kube, web))).toEqual(before);

  const stateful = aStatefulSet({ namespace: second, images: [dockerList.reference] });
  const db = await createAndRollOut(kube, stateful);
  await waitForEvent(kube, db, 'PodRestored');
  expect(imagesOf(await waitForRollout(kube, db))).toEqual([dockerList.reference]);
  const pods = await listPods(kube, db);
  expect(pods.flatMap(({ spec }) => spec.containers.map((one) => one.image))).toEqual([dockerList.reference]);
  await expectNotDenied(web, db);
});

it('puts every original back from the copies of a former prefix, and takes pull secrets and record off', async () => {
  const [web, ...others] = workloads as readonly [Workload, Workload, Workload];
  await controller.program.stop();
  const kubeconfig = join(controller.credentialsFolder, 'kubeconfig.json');
  const { namespace = '' } = web.metadata;
  // As from inside of the pod of the controller: with its account.
  const args = ['restore', 'deployment/web', '-n', namespace, '--yes', '--kubeconfig', kubeconfig];
  expect(await runCommand(args)).toMatchObject({ exitCode: 0 });
  await changeSettings(kube, { MODE: 'restore' });
  await controller.program.start();
  for (const workload of [...others, nightly]) {
    await waitForEvent(kube, workload, 'ImageRestored');
  }
  for (const workload of [web, ...others]) {
    const now = await waitForImages(kube, workload, imagesOf(workload));
    expect(now.spec.template.spec.volumes).toEqual(workload.spec.template.spec.volumes);
    expect(pullSecretsOf(now)).toEqual([]);
    const ours = Object.keys(now.metadata.annotations ?? {}).filter((key) => key.startsWith('backup-image'));
    expect(ours).toEqual([]);
  }
  await expectNotDenied(...workloads, nightly);
});

it('stops nobody else when the ConfigMap is gone, and still holds the fields', async () => {
  const namespace = await cluster.createNamespace('outside');
  const web = await kube.create(aDeployment({ namespace, images: ['own.example/x'], replicas: 0 }));
  await controller.program.stop();
  await kube.delete(CONFIG_MAP);
  const set = (fields: object): object => ({
    spec: { template: { spec: { containers: [{ name: 'main', ...fields }] } } },
  });
  await kube.patch(referenceTo(web), set({ image: 'own.example/y', args: ['-v'] }), { type: 'strategic' });
  const account = await stealToken(cluster);
  const refusal = await refusalOf(
    account.patch(referenceTo(web), set({ args: ['-q'] }), { type: 'strategic' }),
  );
  account.close();
  expect(refusal).toContain('backup-image-registry-guard-fields');
});
