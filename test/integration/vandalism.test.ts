/** Others write to the workloads at the same time, or into our record, on the real API server. */
import { setInterval } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { changeSettings, installAndStart, type Controller } from '../support/controller.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import { referenceTo } from '../support/kube.ts';
import type { Workload } from '../support/objects.ts';
import { createAndRollOut, waitForRollout } from '../support/rollout.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, backup, images } = cluster;
const PREFIX = `${backup.host}/vandalism`;
const ORIGINAL = images.multiPlatform.reference;
const COPY = copyOf(images.multiPlatform, PREFIX);
const NEXT = images.multiPlatformNext.reference;
const NEXT_COPY = copyOf(images.multiPlatformNext, PREFIX);
const STATUS = 'backup-image-registry/status';
const ORIGINALS = 'backup-image-registry/original-images';
const IN_A_CENTURY = '2126-01-01T00:00:00.000Z';

let controller: Controller;

beforeAll(async () => {
  controller = await installAndStart(cluster, 'vandalism');
});

afterAll(async () => {
  await controller.program.stop();
});

async function swapped(workload: Workload): Promise<Workload> {
  await createAndRollOut(kube, workload);
  return waitForImages(kube, workload, [COPY]);
}

let rounds = 0;

/** Makes the controller look at every workload again, and returns when it has. */
async function lookAgain(): Promise<void> {
  rounds += 1;
  const namespace = await cluster.createNamespace();
  await changeSettings(kube, { COPY_CONCURRENCY: `${rounds + 1}` });
  await swapped(aDeployment({ namespace, name: `witness-${rounds}`, images: [ORIGINAL] }));
}

async function annotate(
  workload: Workload,
  annotations: Readonly<Record<string, string | null>>,
): Promise<void> {
  await kube.patch(referenceTo(workload), { metadata: { annotations } });
}

describe('a record that somebody has written into', { tags: 'attack-annotation' }, () => {
  it.each([
    ['that is gone', { [STATUS]: null, [ORIGINALS]: null }],
    ['that is cut', { [STATUS]: '{"v":1,"swappedAt":"2026-' }],
    ['that is of another form', { [STATUS]: '[1,2]', [ORIGINALS]: '"nginx"' }],
    ['whose originals are foreign', { [ORIGINALS]: '{"main":"evil.example/x:1"}' }],
    ['whose originals are gone', { [ORIGINALS]: null }],
    ['that has a hold for ever', { [STATUS]: holdForEver(COPY) }],
  ])('%s leaves a swapped workload as it is', async (_, annotations) => {
    const namespace = await cluster.createNamespace();
    const web = await swapped(aDeployment({ namespace, images: [ORIGINAL] }));
    await annotate(web, annotations);
    await lookAgain();
    expect(imagesOf(await waitForRollout(kube, web))).toEqual([COPY]);
  });

  it.each([
    ['a foreign copy', { main: 'evil.example/shop/api:1.0' }],
    ['a copy of another image', { main: NEXT_COPY }],
    ['an option', { main: '--help' }],
  ])('to name %s does not lead there', async (_, copies) => {
    const namespace = await cluster.createNamespace();
    const status = JSON.stringify({ v: 1, swappedAt: '2026-01-01T00:00:00.000Z', copies });
    const annotations = { [STATUS]: status, [ORIGINALS]: JSON.stringify({ main: ORIGINAL }) };
    await swapped(aDeployment({ namespace, images: [ORIGINAL], annotations }));
  });

  it('does not stop a swap for ever', async () => {
    const namespace = await cluster.createNamespace();
    const annotations = { [STATUS]: holdForEver(ORIGINAL), [ORIGINALS]: JSON.stringify({ main: ORIGINAL }) };
    const web = await kube.create(aDeployment({ namespace, images: [ORIGINAL], replicas: 0, annotations }));
    const { uid } = web.metadata;
    await annotate(web, { [STATUS]: holdForEver(ORIGINAL, uid) });
    await kube.patch(referenceTo(web), { spec: { replicas: 1 } });
    await waitForImages(kube, web, [COPY]);
  });
});

function holdForEver(image: string, uid = 'nobody'): string {
  const swappedAt = '2026-01-01T00:00:00.000Z';
  return JSON.stringify({
    v: 1,
    swappedAt,
    copies: { main: COPY },
    uid,
    hold: { until: IN_A_CENTURY, failures: 1e9, images: { main: image } },
    reverts: { count: 1e9, since: swappedAt, of: swappedAt, holds: 1e9, until: IN_A_CENTURY },
  });
}

it(
  'takes a workload that was deleted and made again, annotations and all, for a new one',
  { tags: 'attack-annotation' },
  async () => {
    const namespace = await cluster.createNamespace();
    const web = await swapped(aDeployment({ namespace, images: [ORIGINAL] }));
    const { annotations = {} } = web.metadata;
    await kube.delete(referenceTo(web));
    await waitFor(async () => !(await kube.get(referenceTo(web))), { what: 'the workload to be gone' });
    const kept = { [STATUS]: annotations[STATUS] ?? '', [ORIGINALS]: annotations[ORIGINALS] ?? '' };
    const again = await swapped(aDeployment({ namespace, images: [ORIGINAL], annotations: kept }));
    expect(again.metadata.uid).not.toBe(web.metadata.uid);
    expect(JSON.parse(again.metadata.annotations?.[STATUS] ?? '')).not.toHaveProperty('reverts');
    await waitForEvent(kube, again, 'ImageSwapped');
    expect((await listEvents(kube, again)).map(({ reason }) => reason)).toEqual(['ImageSwapped']);
  },
);

it('never adds a container of its own when one is renamed at that very time', async () => {
  const namespace = await cluster.createNamespace();
  const web = await swapped(aDeployment({ namespace, images: [ORIGINAL] }));
  for (let round = 1; round <= 10; round += 1) {
    const image = round % 2 === 0 ? ORIGINAL : NEXT;
    const containers = [{ name: `main-${round}`, image }];
    await kube.patch(referenceTo(web), { spec: { template: { spec: { containers } } } });
    await waitFor(
      async () => {
        const now = imagesOf(await read(kube, web));
        return round < 10 || now[0]?.startsWith(PREFIX) ? now.length === 1 : false;
      },
      { what: 'one container' },
    );
  }
  const now = await waitForImages(kube, web, [COPY]);
  expect(now.spec.template.spec.containers.map(({ name }) => name)).toEqual(['main-10']);
});

it('outlasts an autoscaler that writes ten times a second, and leaves the scale alone', async () => {
  const namespace = await cluster.createNamespace();
  const web = await swapped(aDeployment({ namespace, images: [ORIGINAL] }));
  const containers = [{ name: 'main', image: NEXT }];
  await kube.patch(referenceTo(web), { spec: { template: { spec: { containers } } } }, { type: 'strategic' });
  let replicas = 1;
  let writes = 0;
  for await (const _ of setInterval(100)) {
    writes += 1;
    replicas = 1 + (writes % 3);
    const annotations = { 'autoscaler.example/seen': `${writes}` };
    await kube.patch(referenceTo(web), { metadata: { annotations }, spec: { replicas } });
    if (writes === 50) {
      break;
    }
  }
  expect((await waitForImages(kube, web, [NEXT_COPY])).spec.replicas).toBe(replicas);
});
