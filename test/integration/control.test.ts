/** What users allow, by MODE and by annotations, on the real API server. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { readAuditLog } from '../support/audit.ts';
import { copyOf, read, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import { referenceTo } from '../support/kube.ts';
import type { AnyObject, Workload } from '../support/objects.ts';
import { readRequestLog } from '../support/registry-log.ts';
import { createAndRollOut } from '../support/rollout.ts';
import { pushImage, SAMPLE_IMAGES } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment, type WorkloadOptions } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images } = cluster;
const PREFIX = `${backup.host}/control`;
const SETTINGS = {
  MODE: 'swap',
  REGISTRY_PREFIX: PREFIX,
  INSECURE_REGISTRIES: `${source.host},${backup.host}`,
  NAMESPACES_EXCLUDE_LIST: 'kube-*',
  REQUEUE_AFTER: '1s',
};
const POLICY = 'backup-image-registry/policy';

let controllers = 0;
let controller: Controller | undefined;
let namespace: string;

async function start(): Promise<Controller> {
  controllers += 1;
  controller = await startController(cluster, { name: `control-${controllers}`, registries: [backup] });
  return controller;
}

async function create(options: Partial<WorkloadOptions> & { readonly name: string }): Promise<Workload> {
  const { reference } = images.dockerList;
  return createAndRollOut(kube, aDeployment({ namespace, images: [reference], ...options }));
}

async function annotate(object: AnyObject | Workload, annotations: Record<string, string | null>) {
  await kube.patch(referenceTo(object), { metadata: { annotations } });
}

/** How often the backup was asked by others than the nodes, where pods of other tests start. */
async function countRequests(): Promise<number> {
  return (await readRequestLog(backup)).filter(({ client }) => client !== 'test-kubelet').length;
}

function namespaceObject(name: string): AnyObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
}

const copied = copyOf(images.dockerList, PREFIX);

beforeAll(async () => {
  await installController(cluster, SETTINGS);
});

beforeEach(async () => {
  await changeSettings(kube, SETTINGS);
  namespace = await cluster.createNamespace();
});

afterEach(async () => {
  await controller?.program.stop();
});

describe('MODE', () => {
  it('observe writes nothing, nowhere, and the log says what would be done', async () => {
    const created = await create({ name: 'web' });
    await changeSettings(kube, { MODE: 'observe' });
    const web = await read(kube, created);
    const asked = await countRequests();
    const since = new Date();
    const { log, program } = await start();
    const line = await waitFor(
      async () =>
        (await log()).find(
          ({ workload }) => (workload as { namespace?: string } | undefined)?.namespace === namespace,
        ),
      { what: 'the log to say what would be done' },
    );
    expect(line['would']).toEqual([
      expect.stringMatching(/^copy 127\.0\.0\.1:.* of main to .* and run it from there$/),
    ]);
    await program.stop();
    expect(await countRequests()).toBe(asked);
    expect((await read(kube, web)).metadata.resourceVersion).toBe(web.metadata.resourceVersion);
    const written = (await readAuditLog(cluster.auditLogFile, { since }))
      .filter(({ verb }) => !['get', 'list', 'watch'].includes(verb))
      .map(({ objectRef }) => objectRef?.resource);
    expect(new Set(written)).toEqual(new Set(['leases']));
  });

  it('copy fills the backup and changes no workload, and a change of it takes effect at once', async () => {
    const image = await pushImage(source, { ...SAMPLE_IMAGES.multiPlatform, repository: namespace });
    const web = await create({ name: 'web', images: [image.reference] });
    await changeSettings(kube, { MODE: 'copy' });
    const { log } = await start();
    await waitFor(
      async () =>
        (await log()).some(
          ({ message, source: from }) => message === 'copy verified' && String(from).includes(namespace),
        ),
      { what: 'the copy' },
    );
    expect((await read(kube, web)).metadata.generation).toBe(1);
    await changeSettings(kube, { MODE: 'swap' });
    await waitForImages(kube, web, [copyOf(image, PREFIX)]);
  });
});

describe('a policy', () => {
  it('of the namespace holds for its workloads, and one of the workload is stronger', async () => {
    await annotate(namespaceObject(namespace), { [POLICY]: 'ignore' });
    const web = await create({ name: 'web' });
    const insisting = await create({ name: 'insisting', annotations: { [POLICY]: 'swap' } });
    await start();
    await waitForImages(kube, insisting, [copied]);
    expect(await waitForEvent(kube, web, 'Deferred')).toBe(
      `Neither copied nor swapped: the namespace ${namespace} has the annotation ${POLICY}: ignore.`,
    );
    expect((await read(kube, web)).metadata.generation).toBe(1);

    await annotate(namespaceObject(namespace), { [POLICY]: null });
    await waitForImages(kube, web, [copied]);
  });

  it('of the user lifts what the controller recognizes, which an event explains', async () => {
    const flux = aDeployment({ namespace, name: 'flux', images: [images.dockerList.reference] });
    const labels = { 'kustomize.toolkit.fluxcd.io/name': 'apps' };
    const web = await createAndRollOut(kube, { ...flux, metadata: { ...flux.metadata, labels } });
    await start();
    expect(await waitForEvent(kube, web, 'Deferred')).toMatch(/^Copied, but not swapped: Flux applies it/);
    expect((await read(kube, web)).metadata.generation).toBe(1);
    await annotate(web, { [POLICY]: 'swap' });
    await waitForImages(kube, web, [copied]);
  });

  it('ignore leaves a swapped workload and its next image alone', async () => {
    const web = await create({ name: 'web' });
    await start();
    await waitForImages(kube, web, [copied]);
    await annotate(web, { [POLICY]: 'ignore' });
    const other = await create({ name: 'other' });
    await waitForImages(kube, other, [copied]);
    await waitForImages(kube, web, [copied]);
    const containers = [{ name: 'main', image: images.multiPlatform.reference }];
    await kube.patch(
      referenceTo(web),
      { spec: { template: { spec: { containers } } } },
      { type: 'strategic' },
    );
    const marker = await create({ name: 'marker', images: [images.multiPlatform.reference] });
    await waitForImages(kube, marker, [copyOf(images.multiPlatform, PREFIX)]);
    await waitForImages(kube, web, [images.multiPlatform.reference]);
  });

  it('that is none counts as ignore, and a warning says what is allowed', async () => {
    const web = await create({ name: 'web', annotations: { [POLICY]: 'always' } });
    await start();
    expect(await waitForEvent(kube, web, 'InvalidAnnotation')).toMatch(/must be swap, copy or ignore/);
    expect((await read(kube, web)).metadata.generation).toBe(1);
    await annotate(web, { [POLICY]: 'swap' });
    await waitForImages(kube, web, [copied]);
  });

  it('needs no right to read namespaces: without it only theirs do not count', async () => {
    const role = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      name: 'backup-image-registry-role',
    };
    const granted = await kube.get<AnyObject & { readonly rules: readonly { resources: string[] }[] }>(role);
    const rules = granted?.rules.filter(({ resources }) => !resources.includes('namespaces'));
    await kube.patch(role, { rules });
    try {
      const web = await create({ name: 'web' });
      const { log } = await start();
      await waitForImages(kube, web, [copied]);
      const told = (await log()).filter(({ message }) =>
        String(message).startsWith('policies of namespaces'),
      );
      expect(told).toHaveLength(1);
    } finally {
      await kube.patch(role, { rules: granted?.rules });
    }
  });
});

it('leaves the containers alone that the user names', async () => {
  const web = await create({
    name: 'web',
    images: [images.dockerList.reference, images.multiPlatform.reference],
    annotations: { 'backup-image-registry/ignore-containers': 'extra-1, extra-2' },
  });
  await start();
  await waitForImages(kube, web, [copied, images.multiPlatform.reference]);
  expect(await waitForEvent(kube, web, 'InvalidAnnotation')).toMatch(/\(main, extra-1\); "extra-2" is none/);
});

it('looks again when it is asked to refresh', async () => {
  const image = { ...SAMPLE_IMAGES.multiPlatform, repository: `later-${namespace}` };
  const reference = `${source.host}/${image.repository}:${image.tag}`;
  const web = await kube.create(aDeployment({ namespace, images: [reference] }));
  await start();
  await waitForEvent(kube, web, 'CopyFailed');
  const pushed = await pushImage(source, image);
  await annotate(web, { 'backup-image-registry/refresh': 'now' });
  await waitForImages(kube, web, [copyOf(pushed, PREFIX)]);
});

it('says of a workload that is paused or without pods why it is not swapped', async () => {
  const paused = await create({ name: 'paused' });
  await kube.patch(referenceTo(paused), { spec: { paused: true } });
  const idle = await create({ name: 'idle', replicas: 0 });
  await start();
  expect(await waitForEvent(kube, paused, 'Deferred')).toMatch(/not swapped while it is paused/);
  expect(await waitForEvent(kube, idle, 'Deferred')).toMatch(/not swapped while it has no pods/);
  await kube.patch(referenceTo(paused), { spec: { paused: null } });
  await kube.patch(referenceTo(idle), { spec: { replicas: 1 } });
  await waitForImages(kube, paused, [copied]);
  await waitForImages(kube, idle, [copied]);
  await waitForEvent(kube, paused, 'ImageSwapped');
  const reasons = (await listEvents(kube, paused)).map(({ reason }) => reason);
  expect(reasons.toSorted()).toEqual(['Deferred', 'ImageSwapped']);
});

it('leaves a namespace alone from the moment it is excluded', async () => {
  const web = await create({ name: 'web' });
  await start();
  const swapped = await waitForImages(kube, web, [copied]);
  await changeSettings(kube, { NAMESPACES_EXCLUDE_LIST: `kube-*,${namespace}` });
  const [late, elsewhere] = [await create({ name: 'late' }), await cluster.createNamespace()];
  await waitForImages(kube, await create({ name: 'marker', namespace: elsewhere }), [copied]);
  expect((await read(kube, late)).metadata.generation).toBe(1);
  expect((await read(kube, web)).metadata.generation).toBe(swapped.metadata.generation);
  await changeSettings(kube, { NAMESPACES_EXCLUDE_LIST: 'kube-*' });
  await waitForImages(kube, late, [copied]);
});
