/** Runtimes that report what runs by the manifest of a node's platform, on nodes of two architectures. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { installController, startController, type Controller } from '../support/controller.ts';
import { dockerConfigFor } from '../support/docker-config.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import { buildImage, type ImageSpec } from '../support/image-builder.ts';
import { referenceTo } from '../support/kube.ts';
import type { Pod, PodSpec, Workload } from '../support/objects.ts';
import { readRequestLog } from '../support/registry-log.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { createAndRollOut } from '../support/rollout.ts';
import { listRunningDigests } from '../support/running-images.ts';
import { deleteManifest, findDigest, pushImage, type PushedImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { inPool, startTestKubelet, type TestKubelet } from '../support/test-kubelet.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDaemonSet, aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, tools, processes } = cluster;
const PREFIX = `${backup.host}/digests`;
const POOL = 'mixed';
const NODES = [
  { name: 'amd-1', architecture: 'amd64' },
  { name: 'amd-2', architecture: 'amd64' },
  { name: 'arm-1', architecture: 'arm64' },
] as const;

let controller: Controller;
let kubelet: TestKubelet;
let hidden: Registry;
let namespace: string;
const created: Workload[] = [];

beforeAll(async () => {
  namespace = await cluster.createNamespace();
  hidden = await startRegistry({ tools, processes, name: 'hidden-source', auth: true });
  kubelet = await startTestKubelet({
    kube,
    nodes: NODES.map((node) => ({ ...node, pool: POOL, reportsPlatform: true })),
    nodeConfig: dockerConfigFor([backup, hidden]),
  });
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    INSECURE_REGISTRIES: [source, backup, hidden].map(({ host }) => host).join(','),
    REQUEUE_AFTER: '1s',
    RECHECK_INTERVAL: '2s',
  });
  controller = await startController(cluster, { name: 'platform-digests', registries: [backup, hidden] });
});

afterAll(async () => {
  await controller.program.stop();
  await Promise.all(created.map((workload) => kube.delete(referenceTo(workload))));
  const hasPods = async (): Promise<boolean> => {
    const pods = await kube.list<Pod>({ apiVersion: 'v1', kind: 'Pod' });
    return pods.some(({ spec }) => kubelet.nodes.includes(spec.nodeName ?? ''));
  };
  await waitFor(async () => !(await hasPods()), { what: 'the nodes to be empty' });
  await kubelet.remove();
});

function specOf(content: string): ImageSpec {
  return { format: 'oci-index', content, platforms: ['linux/amd64', 'linux/arm64'], attestation: true };
}

interface Platforms {
  readonly amd64: string;
  readonly arm64: string;
}

/** Pushes an image of two platforms. */
async function push(
  registry: Registry | typeof source,
  name: string,
): Promise<{ readonly image: PushedImage; readonly platforms: Platforms }> {
  const spec = specOf(name);
  const image = await pushImage(registry, { repository: `${namespace}/${name}`, tag: '1', spec });
  const [amd64 = '', arm64 = ''] = (await buildImage(spec)).manifests.map(({ digest }) => digest);
  return { image, platforms: { amd64, arm64 } };
}

async function deploy(workload: Workload): Promise<Workload> {
  const deployed = await createAndRollOut(kube, workload);
  created.push(deployed);
  return deployed;
}

/** What the backup has of an image under a digest. */
async function findInBackup({ host, repository }: PushedImage, digest: string): Promise<string | undefined> {
  const copies = `digests/${host.replace(':', '_')}/${repository}`;
  return findDigest(backup, { repository: copies, tag: digest });
}

/** How often the controller has asked what the tag of an image means. */
async function countLookUps(registry: Registry | typeof source, image: PushedImage): Promise<number> {
  const path = `/v2/${image.repository}/manifests/${image.tag}`;
  const requests = await readRequestLog(registry);
  return requests.filter((request) => request.path === path && request.client !== 'test-kubelet').length;
}

async function reasonsOf(workload: Workload): Promise<readonly string[]> {
  return (await listEvents(kube, workload)).map(({ reason }) => reason);
}

it('backs up the index of what nodes of two platforms report by its parts, and all of them run from it', async () => {
  const { image, platforms } = await push(source, 'agent');
  const podSpec = inPool(POOL);
  const agent = await deploy(aDaemonSet({ namespace, name: 'agent', images: [image.reference], podSpec }));
  const parts = [platforms.amd64, platforms.amd64, platforms.arm64].toSorted();
  // Its swap may replace one of them already.
  expect(parts).toEqual(expect.arrayContaining([...(await listRunningDigests(kube, agent))]));
  await waitForImages(kube, agent, [copyOf(image, PREFIX)]);
  expect(await listRunningDigests(kube, agent)).toEqual(parts);
  for (const digest of [image.digest, ...parts]) {
    expect(await findInBackup(image, digest)).toBe(digest);
  }

  const before = await countLookUps(source, image);
  await waitFor(async () => (await countLookUps(source, image)) >= before + 2, {
    what: 'two checks of the source',
  });
  expect(await reasonsOf(agent)).toEqual(['ImageSwapped']);
});

it('backs up a private image that is pinned to its index, as what proves it are its parts', async () => {
  const { image } = await push(hidden, 'private');
  const pinned = `${image.reference}@${image.digest}`;
  const agent = await deploy(
    aDaemonSet({ namespace, name: 'private', images: [pinned], podSpec: inPool(POOL) }),
  );
  await waitForImages(kube, agent, [copyOf(image, PREFIX)]);
  expect(await findInBackup(image, image.digest)).toBe(image.digest);
  expect(await reasonsOf(agent)).toEqual(['ImageSwapped']);
});

it('backs up a private image of which pods report the parts of what its tag means', async () => {
  const { image } = await push(hidden, 'private-tag');
  const agent = await deploy(
    aDaemonSet({ namespace, name: 'private-tag', images: [image.reference], podSpec: inPool(POOL) }),
  );
  await waitForImages(kube, agent, [copyOf(image, PREFIX)]);
  expect(await reasonsOf(agent)).toEqual(['ImageSwapped']);
});

it('uses the manifest of one platform whose index is lost only for pods that stay on that platform', async () => {
  const { image, platforms } = await push(source, 'lost');
  const onNode = (labels: Readonly<Record<string, string>>): Partial<PodSpec> => {
    const pool = inPool(POOL);
    return { ...pool, nodeSelector: { ...(pool.nodeSelector as object), ...labels } };
  };
  const ignored = { 'backup-image-registry/policy': 'ignore' };
  const options = { namespace, images: [image.reference], annotations: ignored };
  const [anywhere, bound, everywhere] = await Promise.all([
    deploy(
      aDeployment({ ...options, name: 'anywhere', podSpec: onNode({ 'kubernetes.io/hostname': 'amd-1' }) }),
    ),
    deploy(aDeployment({ ...options, name: 'bound', podSpec: onNode({ 'kubernetes.io/arch': 'amd64' }) })),
    deploy(aDaemonSet({ ...options, name: 'everywhere', podSpec: inPool(POOL) })),
  ]);
  await deleteManifest(source, image);
  const annotations = { 'backup-image-registry/policy': null };
  const heed = async (workload: Workload): Promise<Workload> =>
    kube.patch(referenceTo(workload), { metadata: { annotations } });
  const [before, , beforeEverywhere] = await Promise.all([heed(anywhere), heed(bound), heed(everywhere)]);

  expect(await waitForEvent(kube, anywhere, 'PlatformNotCopied')).toContain(
    `Pods run ${platforms.amd64} in main, which is ${image.reference} for one platform`,
  );
  expect(await findInBackup(image, platforms.amd64)).toBe(platforms.amd64);
  await waitForEvent(kube, everywhere, 'OtherImageRuns');
  await waitForImages(kube, bound, [copyOf({ ...image, digest: platforms.amd64 }, PREFIX)]);
  for (const workload of [before, beforeEverywhere]) {
    const now = await read(kube, workload);
    expect(imagesOf(now)).toEqual([image.reference]);
    expect(now.metadata.generation).toBe(workload.metadata.generation);
  }
});
