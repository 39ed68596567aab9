/** Copies of some platforms only, with the real engine, into registries that take them and one that does not. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { waitForEvent } from '../support/events.ts';
import { buildImage, type ImageSpec } from '../support/image-builder.ts';
import { ARCHITECTURE } from '../support/kubelet/pull.ts';
import type { Workload } from '../support/objects.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { waitForRollout } from '../support/rollout.ts';
import { deleteManifest, findDigest, pushImage, type PushedImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, tools, processes } = cluster;
/** Of the nodes, and another one that the images are for as well. */
const HERE = `linux/${ARCHITECTURE}`;
const ELSEWHERE = ARCHITECTURE === 's390x' ? 'linux/amd64' : 'linux/s390x';
const SPEC: ImageSpec = {
  format: 'oci-index',
  content: 'for some platforms',
  platforms: [HERE, 'linux/s390x', 'linux/arm/v7'],
  attestation: true,
};

let tolerant: Registry;
let controller: Controller;
let namespace: string;

beforeAll(async () => {
  tolerant = await startRegistry({ tools, processes, name: 'tolerant', takesPartialImages: true });
  namespace = await cluster.createNamespace();
  await installController(cluster, {
    REGISTRY_PREFIX: `${tolerant.host}/some`,
    INSECURE_REGISTRIES: [source, backup, tolerant].map(({ host }) => host).join(','),
    PLATFORMS: HERE,
    REQUEUE_AFTER: '1s',
    RECHECK_INTERVAL: '2s',
  });
  controller = await startController(cluster, { name: 'platforms', registries: [backup] });
});

afterAll(async () => {
  await controller.program.stop();
});

async function deploy(
  name: string,
  spec = SPEC,
): Promise<{ readonly image: PushedImage; readonly workload: Workload }> {
  const image = await pushImage(source, { repository: `${namespace}/${name}`, tag: '1', spec });
  const created = await kube.create(aDeployment({ namespace, name, images: [image.reference] }));
  return { image, workload: await waitForRollout(kube, created) };
}

/** Where the copies of the image are, for the registry's own API. */
function copyRepository({ host, repository }: PushedImage): string {
  return `some/${host.replace(':', '_')}/${repository}`;
}

/** Which manifests of the image, platform by platform and with the index at the end, a registry has. */
async function listHeld(registry: Registry, image: PushedImage, spec = SPEC): Promise<readonly boolean[]> {
  const { manifests } = await buildImage(spec);
  return Promise.all(
    manifests.map(
      async ({ digest }) =>
        (await findDigest(registry, { repository: copyRepository(image), tag: digest })) === digest,
    ),
  );
}

it('copies only what the nodes need, proves it by the digest of the whole, and completes it when more is wanted', async () => {
  const { image, workload } = await deploy('wanted');
  const written = copyOf(image, `${tolerant.host}/some`);
  await waitForImages(kube, workload, [written]);
  expect(await listHeld(tolerant, image)).toEqual([true, false, false, false, false, false, true]);
  const swapped = await read(kube, workload);

  await changeSettings(kube, { PLATFORMS: `${HERE},linux/arm/v7` });
  await waitFor(async () => (await listHeld(tolerant, image))[2], { what: 'the platform that is new' });
  expect(await listHeld(tolerant, image)).toEqual([true, false, true, false, false, false, true]);

  await changeSettings(kube, { PLATFORMS: 'all' });
  await waitFor(async () => (await listHeld(tolerant, image)).every(Boolean), { what: 'all platforms' });
  expect((await read(kube, workload)).metadata.generation).toBe(swapped.metadata.generation);
  await changeSettings(kube, { PLATFORMS: HERE });
});

it('completes a copy of which somebody has deleted a platform in an index in its index', async () => {
  const nested = { ...SPEC, content: 'for some platforms, nested', attestation: false, nested: true };
  await changeSettings(kube, { PLATFORMS: `${HERE},linux/arm/v7` });
  const { image, workload } = await deploy('nested', nested);
  const swapped = await waitForImages(kube, workload, [copyOf(image, `${tolerant.host}/some`)]);
  expect(await listHeld(tolerant, image, nested)).toEqual([true, false, true, true, true]);

  const [, , arm, inner] = (await buildImage(nested)).manifests;
  for (const { digest } of [arm, inner].flatMap((part) => part ?? [])) {
    await deleteManifest(tolerant, { repository: copyRepository(image), digest });
    await waitFor(
      async () => (await findDigest(tolerant, { repository: copyRepository(image), tag: digest })) === digest,
      { what: 'the part that was deleted' },
    );
  }
  expect(await listHeld(tolerant, image, nested)).toEqual([true, false, true, true, true]);
  expect((await read(kube, swapped)).metadata.generation).toBe(swapped.metadata.generation);
  await changeSettings(kube, { PLATFORMS: HERE });
});

it('does not use a copy that a node could not start', async () => {
  await changeSettings(kube, { PLATFORMS: ELSEWHERE });
  const { image, workload } = await deploy('elsewhere');
  expect(await waitForEvent(kube, workload, 'PlatformNotCopied')).toContain(`nodes of ${HERE}`);
  expect(imagesOf(await read(kube, workload))).toEqual([image.reference]);
  await changeSettings(kube, { PLATFORMS: `${HERE},${ELSEWHERE}` });
  await waitForImages(kube, workload, [copyOf(image, `${tolerant.host}/some`)]);
  await changeSettings(kube, { PLATFORMS: HERE });
});

it('refuses an image that is for none of the platforms, whose index the registry takes all the same', async () => {
  await changeSettings(kube, { PLATFORMS: 'linux/riscv64' });
  const { image, workload } = await deploy('useless');
  const told = await waitForEvent(kube, workload, 'CopyFailed');
  expect(told).toMatch(/\(Unsupported\): .* has nothing for linux\/riscv64/);
  expect(imagesOf(await read(kube, workload))).toEqual([image.reference]);
  await changeSettings(kube, { PLATFORMS: HERE });
});

it('says so when the backup takes whole images only', async () => {
  await changeSettings(kube, { REGISTRY_PREFIX: `${backup.host}/some` });
  const { image, workload } = await deploy('refused');
  const told = await waitForEvent(kube, workload, 'CopyFailed');
  expect(told).toMatch(/\(Unsupported\): .* has not all platforms: .* or set PLATFORMS=all/);
  expect(imagesOf(await read(kube, workload))).toEqual([image.reference]);
});
