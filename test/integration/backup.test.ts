/** The main job on real parts: the controller under its own ServiceAccount, as `config/default/` installs it. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { findChildren, isAlive } from '../support/child-processes.ts';
import {
  changeSettings,
  CONFIG_MAP,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import { requestsTo } from '../support/faults.ts';
import { startFaultyRegistry } from '../support/faulty-registry.ts';
import type { KubeObject, Workload } from '../support/objects.ts';
import { readRequestLog } from '../support/registry-log.ts';
import { startRegistry } from '../support/registry.ts';
import { createAndRollOut } from '../support/rollout.ts';
import { pushImage, SAMPLE_IMAGES } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDaemonSet, aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images, processes } = cluster;
const PREFIX = `${backup.host}/main-job`;
const SETTINGS = {
  REGISTRY_PREFIX: PREFIX,
  INSECURE_REGISTRIES: `${source.host},${backup.host}`,
  NAMESPACES_EXCLUDE_LIST: 'kube-*,excluded-*',
  REQUEUE_AFTER: '1s',
};

let controllers = 0;
let running: Controller[] = [];
let namespace: string;

async function start(args: readonly string[] = ['--leader-elect']): Promise<Controller> {
  controllers += 1;
  const controller = await startController(cluster, {
    name: `controller-${controllers}`,
    registries: [backup],
    args,
  });
  running.push(controller);
  return controller;
}

async function create(workload: Workload): Promise<Workload> {
  return createAndRollOut(kube, workload);
}

const copyTo = (image: Parameters<typeof copyOf>[0], prefix = PREFIX): string => copyOf(image, prefix);

/** Of one image: those of other tests may be copied at the same time. */
async function countUploads(copy: string): Promise<number> {
  const [repository] = copy.slice(`${backup.host}/`.length).split(':');
  const requests = await readRequestLog(backup);
  return requests.filter(
    ({ method, path }) => !['GET', 'HEAD'].includes(method) && path.startsWith(`/v2/${repository}/`),
  ).length;
}

beforeAll(async () => {
  await installController(cluster, SETTINGS);
});

beforeEach(async () => {
  await changeSettings(kube, SETTINGS);
  namespace = await cluster.createNamespace();
});

afterEach(async () => {
  await Promise.all(running.map(({ program }) => program.stop()));
  running = [];
});

describe('a workload', () => {
  it('runs from the backup afterwards, Deployment and DaemonSet, init containers too', async () => {
    const web = await create(
      aDeployment({
        namespace,
        name: 'web',
        images: [images.multiPlatform.reference, images.dockerList.reference],
        initImages: [images.singleManifest.reference],
        replicas: 2,
      }),
    );
    const agent = await create(aDaemonSet({ namespace, name: 'agent', images: [images.large.reference] }));
    await start();
    const swapped = await waitForImages(kube, web, [
      copyTo(images.singleManifest),
      copyTo(images.multiPlatform),
      copyTo(images.dockerList),
    ]);
    await waitForImages(kube, agent, [copyTo(images.large)]);
    expect(swapped.metadata.generation).toBe(2);
    expect(JSON.parse(swapped.metadata.annotations?.['backup-image-registry/original-images'] ?? '')).toEqual(
      {
        main: images.multiPlatform.reference,
        'extra-1': images.dockerList.reference,
        'init-1': images.singleManifest.reference,
      },
    );
    expect(await waitForEvent(kube, web, 'ImageSwapped')).toContain(copyTo(images.multiPlatform));
  });

  it('is left alone when it runs from the backup already: a second run uploads and patches nothing', async () => {
    const web = await create(aDeployment({ namespace, images: [images.multiPlatform.reference] }));
    const first = await start();
    const swapped = await waitForImages(kube, web, [copyTo(images.multiPlatform)]);
    await first.program.stop();

    const uploads = await countUploads(copyTo(images.multiPlatform));
    expect(uploads).toBeGreaterThan(0);
    const next = await create(
      aDeployment({ namespace, name: 'next', images: [images.multiPlatform.reference] }),
    );
    await start();
    await waitForImages(kube, next, [copyTo(images.multiPlatform)]);
    expect(await countUploads(copyTo(images.multiPlatform))).toBe(uploads);
    expect((await read(kube, web)).metadata.generation).toBe(swapped.metadata.generation);
  });

  it('is left alone in an excluded namespace', async () => {
    const excluded = await cluster.createNamespace('excluded');
    const [inside, outside] = await Promise.all([
      create(aDeployment({ namespace: excluded, images: [images.dockerList.reference] })),
      create(aDeployment({ namespace, images: [images.dockerList.reference] })),
    ]);
    await start();
    await waitForImages(kube, outside, [copyTo(images.dockerList)]);
    expect((await read(kube, inside)).metadata.generation).toBe(1);
  });

  it('is left alone when its image does not exist, with an event that says so', async () => {
    const reference = `${source.host}/never/pushed:1`;
    const broken = await kube.create(aDeployment({ namespace, images: [reference] }));
    await start();
    expect(await waitForEvent(kube, broken, 'CopyFailed')).toContain(`${reference} does not exist`);
    expect(imagesOf(await read(kube, broken))).toEqual([reference]);
  });

  it('is not touched before it is rolled out', async () => {
    const image = { ...SAMPLE_IMAGES.singleManifest, repository: `${namespace}/late` };
    const late = `${source.host}/${image.repository}:${image.tag}`;
    const web = await kube.create(aDeployment({ namespace, images: [images.multiPlatform.reference, late] }));
    const other = await create(
      aDeployment({ namespace, name: 'other', images: [images.multiPlatform.reference] }),
    );
    await start();
    await waitForEvent(kube, web, 'CopyFailed');
    await waitForImages(kube, other, [copyTo(images.multiPlatform)]);
    expect((await read(kube, web)).metadata.generation).toBe(1);

    const pushed = await pushImage(source, image);
    await waitForImages(kube, web, [copyTo(images.multiPlatform), copyTo(pushed)]);
  });

  it(
    'whose image text is no reference is left alone, with one event each',
    { tags: 'attack-text' },
    async () => {
      const texts = [
        '--config=/etc/evil',
        '-h',
        'a\nb',
        'dir:/etc',
        '$(id)',
        'ocidir://etc',
        'x'.repeat(5_000),
      ];
      const evil = await Promise.all(
        texts.map((image, index) =>
          kube.create(aDeployment({ namespace, name: `evil-${index}`, images: [image] })),
        ),
      );
      const controller = await start();
      await Promise.all(evil.map((workload) => waitForEvent(kube, workload, 'InvalidImage')));
      expect((await Promise.all(evil.map((workload) => read(kube, workload)))).flatMap(imagesOf)).toEqual(
        texts,
      );
      const reasons = (await Promise.all(evil.map((workload) => listEvents(kube, workload))))
        .flat()
        .map(({ reason }) => reason);
      expect(reasons).toEqual(texts.map(() => 'InvalidImage'));
      expect((await controller.log()).filter(({ level }) => level === 'error')).toEqual([]);
    },
  );
});

describe('an unreachable backup registry', () => {
  it('leaves everything alone, and the work goes on when it is back', async () => {
    const other = await startRegistry({ tools: cluster.tools, processes, name: 'other-backup' });
    const prefix = `${other.host}/b`;
    await other.stop();
    await changeSettings(kube, {
      REGISTRY_PREFIX: prefix,
      INSECURE_REGISTRIES: `${source.host},${other.host}`,
    });
    const web = await create(aDeployment({ namespace, images: [images.singleManifest.reference] }));
    await start();
    expect(await waitForEvent(kube, web, 'CopyFailed')).toMatch(/RegistryUnavailable/);
    expect((await read(kube, web)).metadata.generation).toBe(1);
    await other.start();
    await waitForImages(kube, web, [copyTo(images.singleManifest, prefix)]);
  });
});

describe('an edit of the ConfigMap takes effect without a restart', () => {
  it('when the prefix changes, workloads move to copies of their originals under the new one', async () => {
    const web = await create(aDeployment({ namespace, images: [images.dockerList.reference] }));
    await start();
    await waitForImages(kube, web, [copyTo(images.dockerList)]);
    await changeSettings(kube, { REGISTRY_PREFIX: `${backup.host}/moved/to` });
    await waitForImages(kube, web, [copyTo(images.dockerList, `${backup.host}/moved/to`)]);
  });

  it('when a namespace is no longer excluded, its workloads are backed up', async () => {
    const excluded = await cluster.createNamespace('excluded');
    const web = await create(aDeployment({ namespace: excluded, images: [images.dockerList.reference] }));
    await start();
    await changeSettings(kube, { NAMESPACES_EXCLUDE_LIST: 'kube-*' });
    await waitForImages(kube, web, [copyTo(images.dockerList)]);
  });

  it('when it is wrong, nothing of it does, and an event on the ConfigMap says what is wrong', async () => {
    const web = await create(aDeployment({ namespace, images: [images.multiPlatform.reference] }));
    await start();
    await changeSettings(kube, { NAMING: 'short', REGISTRY_PREFIX: `${backup.host}/wrong` });
    await waitForImages(kube, web, [copyTo(images.multiPlatform)]);
    const configMap = await kube.get(CONFIG_MAP);
    expect(await waitForEvent(kube, configMap as KubeObject, 'ConfigInvalid')).toMatch(
      /NAMING must be auto, nested or flat/,
    );
    await changeSettings(kube, { NAMING: null, REGISTRY_PREFIX: `${backup.host}/right` });
    await waitForImages(kube, web, [copyTo(images.multiPlatform, `${backup.host}/right`)]);
  });
});

describe('the controller', () => {
  it('ends its engine on SIGTERM in the middle of a copy, and finishes the work after the next start', async () => {
    const held = await startFaultyRegistry(source);
    const when = requestsTo({ method: 'GET', path: /\/blobs\// });
    const release = held.misbehave({ when, does: { kind: 'hold' } });
    await changeSettings(kube, { INSECURE_REGISTRIES: `${held.host},${backup.host}` });
    const { repository, tag, digest } = images.large;
    const reference = `${held.host}/${repository}:${tag}`;
    const web = await create(aDeployment({ namespace, images: [reference] }));
    const first = await start();
    await waitFor(() => held.waiting() > 0, { what: 'the copy to be under way' });
    const engines = await findChildren(first.program.pid, 'regctl');
    expect(engines.map(isAlive)).toEqual([true]);

    const { ended } = first.program;
    await first.program.stop();
    expect(await ended).toBe(0);
    expect(engines.map(isAlive)).toEqual([false]);
    expect((await read(kube, web)).metadata.generation).toBe(1);

    release();
    await start();
    await waitForImages(kube, web, [
      copyTo({ ...images.large, host: held.host, reference, repository, tag, digest }),
    ]);
    await held.close();
  });

  it('hands over to another replica when it is stopped', async () => {
    const [first, second] = [await start(), await start()];
    const web = await create(aDeployment({ namespace, images: [images.multiPlatform.reference] }));
    await waitForImages(kube, web, [copyTo(images.multiPlatform)]);
    const isWorking = async (controller: Controller) =>
      (await controller.log()).some(({ message }) => message === 'working');
    expect([await isWorking(first), await isWorking(second)]).toEqual([true, false]);

    await first.program.stop();
    const next = await create(
      aDeployment({ namespace, name: 'next', images: [images.dockerList.reference] }),
    );
    await waitForImages(kube, next, [copyTo(images.dockerList)]);
    expect(await isWorking(second)).toBe(true);
  });
});
