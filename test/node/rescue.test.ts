/** Originals that a real kubelet cannot pull any more: whoever asks for them runs from the backup, ready or not. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { copyOf, imagesOf, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { waitForEvent } from '../support/events.ts';
import { contentOf, NODE_IMAGES, pushNodeImage, type NodeImageName } from '../support/node/node-images.ts';
import { connectToNodeCluster } from '../support/node/node-test-cluster.ts';
import { type SwapTimes, followSwaps, formatTimes } from '../support/node/swap-times.ts';
import { withProbe } from '../support/node/serving.ts';
import type { Pod, PodSpec, Workload } from '../support/objects.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { listLivingPods, waitForRollout, waitingReasons } from '../support/rollout.ts';
import { deleteManifest, findDigest, type PushedImage } from '../support/seed-images.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDaemonSet, aDeployment, aStatefulSet } from '../support/workload-builders.ts';

const cluster = connectToNodeCluster();
const { kube, source, backup, tools, processes, node, nodeProgram } = cluster;
const PREFIX = `${backup.host}/rescue`;

let controller: Controller;
/** Goes away for good. */
let mortal: Registry;
let gone: Readonly<Record<Exclude<NodeImageName, 'webNext' | 'init'>, PushedImage>>;
/** Its registry is there, and does not have it any more. */
let deleted: PushedImage;
let agent: Workload;

const copyTo = (image: PushedImage): string => copyOf(image, PREFIX);

async function push(name: NodeImageName): Promise<PushedImage> {
  return pushNodeImage(mortal, NODE_IMAGES[name], nodeProgram);
}

async function pushAll(): Promise<typeof gone> {
  const [web, dockerWeb, single] = await Promise.all([push('web'), push('dockerWeb'), push('single')]);
  const [sidecar, files] = await Promise.all([push('sidecar'), push('files')]);
  return { web, dockerWeb, single, sidecar, files };
}

/** An image in every place that a pod template has for one. */
function everyPart({ sidecar, dockerWeb, files }: typeof gone): Partial<PodSpec> {
  const volumeMounts = [{ name: 'files', mountPath: '/volume', readOnly: true }];
  return {
    initContainers: [{ name: 'sidecar', image: sidecar.reference, restartPolicy: 'Always' }],
    containers: [{ name: 'main', image: dockerWeb.reference, volumeMounts }],
    volumes: [{ name: 'files', image: { reference: files.reference } }],
  };
}

async function waitForCopy({ host, repository, tag, digest }: PushedImage): Promise<void> {
  const copy = { repository: `rescue/${host.replace(':', '_')}/${repository}`, tag };
  await waitFor(async () => (await findDigest(backup, copy)) === digest, {
    what: `the copy of ${repository}`,
  });
}

/** What the node says about the first pod whose image it cannot have. */
async function waitForPullFailure(workload: Workload): Promise<string> {
  const isFailure = ({ reason }: { reason: string }): boolean =>
    /^ErrImagePull$|^ImagePullBackOff$/.test(reason);
  const { message = '' } = await waitFor(
    async () => (await listLivingPods(kube, workload)).flatMap(waitingReasons).find(isFailure),
    { what: 'the node to fail to pull' },
  );
  return message;
}

async function contentsOf(workload: Workload): Promise<readonly string[]> {
  return (await cluster.askPods(workload)).map(({ content }) => content);
}

/** So many pods with this content; the test kubelet's do not answer. */
function answers(name: NodeImageName, pods = 1): readonly string[] {
  return node ? Array.from({ length: pods }, () => contentOf(NODE_IMAGES[name])) : [];
}

beforeAll(async () => {
  mortal = await startRegistry({ tools, processes, name: 'mortal', address: cluster.address });
  await cluster.allowRegistry(mortal);
  gone = await pushAll();
  deleted = await pushNodeImage(source, { ...NODE_IMAGES.web, repository: 'shop/deleted' }, nodeProgram);
  const namespace = await cluster.createNamespace();
  await installController(cluster, {
    MODE: 'copy',
    REGISTRY_PREFIX: PREFIX,
    INSECURE_REGISTRIES: `${mortal.host},${source.host},${backup.host}`,
    SOURCE_HOSTS: `${mortal.host},${source.host}`,
    WORKLOAD_KINDS: 'Deployment,DaemonSet,StatefulSet',
    // It is a pod that wakes its workload.
    REQUEUE_AFTER: '10m',
  });
  controller = await startController(cluster, { name: 'rescue', registries: [backup] });

  const images = [gone.web.reference, deleted.reference];
  const written = [
    aDeployment({ namespace, name: 'parts', images: [], podSpec: everyPart(gone) }),
    ...images.map((image, index) => aDeployment({ namespace, name: `web-${index}`, images: [image] })),
  ];
  agent = await kube.create(
    withProbe(aDaemonSet({ namespace, name: 'agent', images: [gone.single.reference] })),
  );
  const created = await Promise.all(written.map((workload) => kube.create(workload)));
  await Promise.all([agent, ...created].map((workload) => waitForRollout(kube, workload)));
  await Promise.all([...Object.values(gone), deleted].map(waitForCopy));
  // They have done their part, and would be swapped in the ordinary way.
  await Promise.all(
    created.map(({ apiVersion, kind, metadata: { name } }) =>
      kube.delete({ apiVersion, kind, namespace, name }),
    ),
  );

  await mortal.stop();
  await deleteManifest(source, deleted);
  await cluster.emptyImageCache();
});

afterAll(async () => {
  await controller.program.stop();
});

it('a DaemonSet whose pod cannot start, because MODE was copy, is rescued once it is swap', async () => {
  const [{ metadata }] = (await listLivingPods(kube, agent)) as [Pod];
  await kube.delete({
    apiVersion: 'v1',
    kind: 'Pod',
    namespace: metadata.namespace ?? '',
    name: metadata.name,
  });
  expect(await waitForPullFailure(agent)).toContain(gone.single.reference);
  await changeSettings(kube, { MODE: 'swap' });
  const rescued = await waitForImages(kube, agent, [copyTo(gone.single)]);
  expect(await contentsOf(rescued)).toEqual(answers('single'));
});

describe.concurrent('a new workload', () => {
  let namespace: string;
  let times: SwapTimes;

  beforeAll(async () => {
    namespace = await cluster.createNamespace();
    times = followSwaps(kube, namespace);
  });

  afterAll(async () => {
    await times.stop();
    console.table(formatTimes(times.failedAtMs, times.changedAtMs, 'from ErrImagePull to the rescue'));
  });

  it.each([
    ['whose registry is gone', () => gone.web, /\((?:ErrImagePull|ImagePullBackOff): .*connection refused\)/],
    ['whose tag was deleted', () => deleted, /\((?:ErrImagePull|ImagePullBackOff): .*not found\)/],
  ])('of an image %s runs from the backup after one rollout', async (what, original, problem) => {
    const image = original();
    const name = what.replaceAll(' ', '-');
    const web = await kube.create(
      withProbe(aDeployment({ namespace, name, images: [image.reference], replicas: 2 })),
    );
    const rescued = await waitForImages(kube, web, [copyTo(image)]);
    expect(rescued.metadata.generation).toBe(2);
    const note = await waitForEvent(kube, web, 'Rescued');
    expect(note).toMatch(/^The original of main cannot be pulled /);
    expect(note).toMatch(problem);
    expect(note).toContain(image.reference);
    const pods = await listLivingPods(kube, rescued);
    const running = pods.flatMap(
      ({ status }) => status?.containerStatuses?.map(({ imageID }) => imageID) ?? [],
    );
    expect(running.map((id) => id.split('@')[1])).toEqual([image.digest, image.digest]);
    expect(await contentsOf(rescued)).toHaveLength(node ? 2 : 0);
  });

  it('with sidecar and image volume runs from the backup, all of it', async () => {
    const { sidecar, dockerWeb, files } = gone;
    const created = await kube.create(
      withProbe(aDeployment({ namespace, name: 'parts', images: [], podSpec: everyPart(gone) })),
    );
    const rescued = await waitForImages(kube, created, [sidecar, dockerWeb].map(copyTo));
    expect(rescued.spec.template.spec.volumes?.[0]?.image?.reference).toBe(copyTo(files));
    const main = { content: contentOf(NODE_IMAGES.dockerWeb), volume: contentOf(NODE_IMAGES.files) };
    expect(await cluster.askPods(rescued)).toMatchObject(node ? [main] : []);
    const beside = { content: contentOf(NODE_IMAGES.sidecar) };
    expect(await cluster.askPods(rescued, 9090)).toMatchObject(node ? [beside] : []);
  });

  it('whose pods start one after the other runs from the backup, although nobody replaces the first', async () => {
    const created = await kube.create(
      withProbe(aStatefulSet({ namespace, name: 'db', images: [gone.single.reference], replicas: 2 })),
    );
    const rescued = await waitForImages(kube, created, [copyTo(gone.single)]);
    await waitForEvent(kube, created, 'Rescued');
    await waitForEvent(kube, created, 'PodRestored');
    expect(imagesOf(rescued)).toEqual([copyTo(gone.single)]);
    expect(await contentsOf(rescued)).toEqual(answers('single', 2));
  });
});
