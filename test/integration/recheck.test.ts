/** What happens to copies in use after the swap, on real registries. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

import { copyOf, read, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { waitForEvent } from '../support/events.ts';
import { buildImage } from '../support/image-builder.ts';
import type { Workload } from '../support/objects.ts';
import { readRequestLog } from '../support/registry-log.ts';
import { waitForRollout } from '../support/rollout.ts';
import {
  deleteManifest,
  findDigest,
  pushImage,
  SAMPLE_IMAGES,
  type PushedImage,
} from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup } = cluster;
const PREFIX = `${backup.host}/recheck`;
const SETTINGS = {
  REGISTRY_PREFIX: PREFIX,
  INSECURE_REGISTRIES: `${source.host},${backup.host}`,
  RECHECK_INTERVAL: '2s',
  ON_SOURCE_CHANGE: 'copy',
  REQUEUE_AFTER: '1s',
};

let controller: Controller;
let namespace: string;
let image: PushedImage;
let web: Workload;

/** Where the copies of the image are, for the registry's own API. */
function copyRepository(): string {
  return `recheck/${image.host.replace(':', '_')}/${image.repository}`;
}

async function countUploads(): Promise<number> {
  const path = `/v2/${copyRepository()}/blobs/uploads/`;
  return (await readRequestLog(backup)).filter((request) => request.path.startsWith(path)).length;
}

beforeAll(async () => {
  await installController(cluster, SETTINGS);
  controller = await startController(cluster, { name: 'recheck', registries: [backup] });
});

afterAll(async () => {
  await controller.program.stop();
});

beforeEach(async () => {
  await changeSettings(kube, SETTINGS);
  namespace = await cluster.createNamespace();
  image = await pushImage(source, { ...SAMPLE_IMAGES.multiPlatform, repository: namespace });
  const created = await kube.create(aDeployment({ namespace, images: [image.reference] }));
  web = await waitForImages(kube, await waitForRollout(kube, created), [copyOf(image, PREFIX)]);
});

it('makes a copy again that somebody has deleted, without a rollout', async () => {
  const { digest } = image;
  await deleteManifest(backup, { repository: copyRepository(), digest });
  expect(await waitForEvent(kube, web, 'CopyMissing')).toMatch(
    /was not in the backup any more, and was copied again/,
  );
  expect(await findDigest(backup, { repository: copyRepository(), tag: digest })).toBe(digest);
  expect((await read(kube, web)).metadata.generation).toBe(web.metadata.generation);
});

it('completes a copy of which somebody has deleted a platform, and uploads no layer that is there', async () => {
  const { manifests } = await buildImage(SAMPLE_IMAGES.multiPlatform.spec);
  const [child = ''] = manifests.map(({ digest }) => digest);
  const uploadsBefore = await countUploads();
  await deleteManifest(backup, { repository: copyRepository(), digest: child });
  expect(await waitForEvent(kube, web, 'CopyMissing')).toMatch(
    /^A part of the copy that main runs from was not in the backup any more, and was copied again/,
  );
  expect(await findDigest(backup, { repository: copyRepository(), tag: child })).toBe(child);
  expect(await countUploads()).toBe(uploadsBefore);
  expect((await read(kube, web)).metadata.generation).toBe(web.metadata.generation);
});

it('says that a copy is gone for good when its source is, too', async () => {
  const { digest, repository } = image;
  await deleteManifest(source, { repository, digest });
  expect(await waitForEvent(kube, web, 'SourceGone')).toMatch(/Nothing is lost: main runs from the backup/);
  await deleteManifest(backup, { repository: copyRepository(), digest });
  expect(await waitForEvent(kube, web, 'CopyMissing')).toMatch(
    /The nodes that run it may have the last copy/,
  );
  expect((await read(kube, web)).metadata.generation).toBe(web.metadata.generation);
});

it('backs up the image that a moved tag means now, and leaves the workload with the one it has', async () => {
  const { repository, tag } = image;
  const moved = await pushImage(source, { ...SAMPLE_IMAGES.multiPlatformNext, repository, tag });
  expect(await waitForEvent(kube, web, 'TagMoved')).toContain(copyOf(moved, PREFIX));
  expect(await findDigest(backup, { repository: copyRepository(), tag: moved.digest })).toBe(moved.digest);
  expect(await findDigest(backup, { repository: copyRepository(), tag })).toBe(moved.digest);
  expect((await read(kube, web)).metadata.generation).toBe(web.metadata.generation);
});

it('rolls the workload to the image that a moved tag means now, when it is told to', async () => {
  await changeSettings(kube, { ON_SOURCE_CHANGE: 'swap' });
  const { repository, tag } = image;
  const moved = await pushImage(source, { ...SAMPLE_IMAGES.multiPlatformNext, repository, tag });
  const followed = await waitForImages(kube, web, [copyOf(moved, PREFIX)]);
  expect(followed.metadata.generation).toBe((web.metadata.generation ?? 0) + 1);
  await waitFor(async () => (await fetch(controller.metricsUrl)).ok, { what: 'the controller to be well' });
});
