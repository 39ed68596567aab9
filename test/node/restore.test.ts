/** The way back with pods that really run: MODE=restore, and the command `restore`, while the backup cannot be reached. */
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { runCommand } from '../support/command.ts';
import {
  changeSettings,
  CONTROLLER_NAMESPACE,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { followObjects } from '../support/follow.ts';
import { contentOf, NODE_IMAGES, type NodeImageName } from '../support/node/node-images.ts';
import { connectToNodeCluster } from '../support/node/node-test-cluster.ts';
import { withProbe } from '../support/node/serving.ts';
import type { Workload } from '../support/objects.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { createAndRollOut, listLivingPods, waitForRollout } from '../support/rollout.ts';
import { writeServiceAccountKubeconfig } from '../support/service-account.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDaemonSet, aDeployment, aStatefulSet } from '../support/workload-builders.ts';

const cluster = connectToNodeCluster();
const { kube, source, images, tools, processes, node } = cluster;

let controller: Controller;
/** There for swaps, and away for every way back. */
let backup: Registry;
let prefix: string;
let namespace: string;
let written: readonly { readonly workload: Workload; readonly image: NodeImageName; readonly pods: number }[];

function recreated(workload: Workload): Workload {
  return { ...workload, spec: { ...workload.spec, strategy: { type: 'Recreate' } } };
}

async function create(workload: Workload): Promise<Workload> {
  return createAndRollOut(kube, withProbe(workload));
}

beforeAll(async () => {
  namespace = await cluster.createNamespace();
  backup = await startRegistry({ tools, processes, name: 'leaving', address: cluster.address });
  await cluster.allowRegistry(backup);
  prefix = `${backup.host}/way-back`;
  await installController(cluster, {
    REGISTRY_PREFIX: prefix,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
    SOURCE_HOSTS: source.host,
    WORKLOAD_KINDS: 'Deployment,DaemonSet,StatefulSet',
    REQUEUE_AFTER: '1s',
    MAX_CONCURRENT_ROLLOUTS: '2',
  });
  controller = await startController(cluster, { name: 'restore', registries: [] });
  const { web, dockerWeb, single } = images;
  const [rolling, recreate, agent, db] = await Promise.all([
    create(aDeployment({ namespace, name: 'rolling', images: [web.reference], replicas: 3 })),
    create(recreated(aDeployment({ namespace, name: 'recreate', images: [dockerWeb.reference] }))),
    create(aDaemonSet({ namespace, name: 'agent', images: [single.reference] })),
    create(aStatefulSet({ namespace, name: 'db', images: [single.reference], replicas: 2 })),
  ]);
  written = [
    { workload: rolling, image: 'web', pods: 3 },
    { workload: recreate, image: 'dockerWeb', pods: 1 },
    { workload: agent, image: 'single', pods: 1 },
    { workload: db, image: 'single', pods: 2 },
  ];
});

afterAll(async () => {
  await controller.program.stop();
});

let generations: readonly number[];

async function readGenerations(): Promise<readonly number[]> {
  const now = await Promise.all(written.map(async ({ workload }) => read(kube, workload)));
  return now.map(({ metadata }) => metadata.generation ?? 0);
}

/** Everything runs from the backup, which then goes away, and the node has forgotten both originals and copies. */
beforeEach(async () => {
  await backup.start();
  await changeSettings(kube, { MODE: 'swap' });
  for (const { workload, image } of written) {
    await waitForImages(kube, workload, [copyOf(images[image], prefix)]);
  }
  generations = await readGenerations();
  await backup.stop();
  await cluster.emptyImageCache();
});

/** What users and their tools see of it, without what the API server notes down about a rollout. */
function annotationsOf({ metadata }: Workload): readonly string[] {
  const keys = Object.keys(metadata.annotations ?? {});
  return keys.filter((key) => !/^(?:deployment\.kubernetes\.io\/|deprecated\.daemonset\.)/.test(key));
}

/** As it was written, after one rollout, with pods that run the originals and answer. */
async function expectOriginals(): Promise<void> {
  for (const [index, { workload, image, pods: count }] of written.entries()) {
    const now = await waitForRollout(kube, workload);
    expect(now.spec).toEqual(workload.spec);
    expect(annotationsOf(now)).toEqual([]);
    expect(now.metadata.generation).toBe((generations[index] ?? 0) + 1);
    const pods = await listLivingPods(kube, now);
    const { reference, digest } = images[image];
    expect(pods.map(({ spec }) => spec.containers[0]?.image)).toEqual(Array(count).fill(reference));
    const ids = pods.map(({ status }) => status?.containerStatuses?.[0]?.imageID.split('@')[1]);
    expect(ids).toEqual(Array(count).fill(digest));
    const answers = (await cluster.askPods(now)).map(({ content }) => content);
    expect(answers).toEqual(node ? Array(count).fill(contentOf(NODE_IMAGES[image])) : []);
  }
}

/** Of a Deployment and of the others, what each template has that pods were ever made from. */
async function countTemplates(): Promise<number> {
  const query = { apiVersion: 'apps/v1', namespace };
  const sets = await kube.list({ ...query, kind: 'ReplicaSet' });
  const revisions = await kube.list({ ...query, kind: 'ControllerRevision' });
  return sets.length + revisions.length;
}

/** The fewest pods of the Deployment that were available, from now until the signal aborts. */
function watchAvailable({ metadata: { name } }: Workload, signal: AbortSignal): { least: number } {
  const seen = { least: Number.POSITIVE_INFINITY };
  const query = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    namespace,
    fieldSelector: `metadata.name=${name}`,
  };
  const onObject = ({ status }: Workload): void => {
    seen.least = Math.min(seen.least, status?.availableReplicas ?? 0);
  };
  void followObjects<Workload>({ kube, query }, { onObject, onGone: () => undefined }, signal);
  return seen;
}

it('MODE=restore rolls every workload back to its originals, once, while as many pods serve as before', async () => {
  const watching = new AbortController();
  const seen = watchAvailable(written[0]?.workload as Workload, watching.signal);
  await changeSettings(kube, { MODE: 'restore' });
  await waitFor(
    async () => (await controller.log()).some(({ message }) => String(message).startsWith('all restored')),
    { what: 'the log to say that all is restored' },
  );
  await expectOriginals();
  watching.abort();
  expect(seen.least).toBe(3);
  expect(await countTemplates()).toBe(2 * written.length);
});

it('the command restore does the same without a controller, and ends when the pods run', async () => {
  await controller.program.stop();
  const file = join(processes.folder, 'in-pod.json');
  const account = { namespace: CONTROLLER_NAMESPACE, name: 'backup-image-registry-sa' };
  await writeServiceAccountKubeconfig(cluster, { ...account, file });
  const { exitCode, stdout, stderr } = await runCommand(['restore', '--yes', '--kubeconfig', file]);
  expect(stdout).toMatch(/\n4 restored\n$/);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const now = await Promise.all(written.map(async ({ workload }) => read(kube, workload)));
  expect(now.flatMap(imagesOf)).toEqual(written.map(({ image }) => images[image].reference));
  const ready = now.map(({ status }) => status?.readyReplicas ?? status?.numberReady);
  expect(ready).toEqual(written.map(({ pods }) => pods));
  await expectOriginals();
  expect(await countTemplates()).toBe(2 * written.length);
});
