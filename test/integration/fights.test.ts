/** Somebody puts back what was swapped, on the real API server: a tool that corrects drift, and a person with kubectl. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { changeSettings, installAndStart, kubectl, type Controller } from '../support/controller.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import { referenceTo } from '../support/kube.ts';
import type { Workload } from '../support/objects.ts';
import { countPods, startRival } from '../support/rival.ts';
import { createAndRollOut, waitForRollout } from '../support/rollout.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDaemonSet, aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, backup, images } = cluster;
const PREFIX = `${backup.host}/fights`;
const ORIGINAL = images.multiPlatform.reference;
const COPY = copyOf(images.multiPlatform, PREFIX);
const NEXT = images.multiPlatformNext.reference;
const NEXT_COPY = copyOf(images.multiPlatformNext, PREFIX);
const STATUS = 'backup-image-registry/status';

let controller: Controller;

beforeAll(async () => {
  controller = await installAndStart(cluster, 'fights');
});

afterAll(async () => {
  await controller.program.stop();
});

async function swapped(workload: Workload): Promise<Workload> {
  await createAndRollOut(kube, workload);
  return waitForImages(kube, workload, [COPY]);
}

async function setImage(workload: Workload, image: string, fieldManager: string): Promise<void> {
  const template = { spec: { containers: [{ name: 'main', image }] } };
  await kube.patch(referenceTo(workload), { spec: { template } }, { type: 'strategic', fieldManager });
}

async function countEvents(workload: Workload): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const { reason } of await listEvents(kube, workload)) {
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

async function statusOf(workload: Workload): Promise<unknown> {
  return JSON.parse((await read(kube, workload)).metadata.annotations?.[STATUS] ?? '{}') as unknown;
}

let rounds = 0;

/** Makes the controller look at every workload again, and returns when it has. */
async function lookAgain(): Promise<void> {
  rounds += 1;
  const namespace = await cluster.createNamespace();
  await changeSettings(kube, { COPY_CONCURRENCY: `${rounds + 1}` });
  await swapped(aDeployment({ namespace, name: `witness-${rounds}`, images: [ORIGINAL] }));
}

describe('a tool that corrects drift every 2 s', () => {
  it('wins after four rounds, with one event and a bounded number of pods', async () => {
    const namespace = await cluster.createNamespace();
    const manifest = aDeployment({ namespace, images: [ORIGINAL], replicas: 2 });
    const web = await swapped(manifest);
    const pods = await countPods(kube, namespace);
    const rival = startRival(kube, { manifest, manager: 'argocd-controller', everyMs: 2_000 });
    const note = await waitForEvent(kube, web, 'SwapReverted');
    expect(note).toMatch(
      /^argocd-controller put back .* 4 times within an hour\. .*RespectIgnoreDifferences=true/,
    );

    const held = await waitForImages(kube, web, [ORIGINAL]);
    const roundsUntilHeld = rival.rounds();
    await lookAgain();
    await waitFor(() => rival.rounds() >= roundsUntilHeld + 3, { what: 'three more rounds of the rival' });
    await rival.stop();
    await pods.stop();
    const now = await waitForRollout(kube, web);
    expect(imagesOf(now)).toEqual([ORIGINAL]);
    expect(now.metadata.generation).toBe(held.metadata.generation);
    expect(await statusOf(web)).toMatchObject({ reverts: { count: 4, holds: 1 } });
    expect(await countEvents(web)).toEqual({ ImageSwapped: 1, SwapReverted: 1 });
    // Four times back and three times forth, at most two pods each; mostly fewer, because pods of the copy still run.
    expect(pods.names.size).toBeLessThanOrEqual(14);
  });

  it('has not won against a new image, which is swapped again', async () => {
    const namespace = await cluster.createNamespace();
    const web = await swapped(aDeployment({ namespace, images: [ORIGINAL] }));
    await setImage(web, ORIGINAL, 'kubectl-set');
    await waitForEvent(kube, web, 'SwapReverted');
    await setImage(web, NEXT, 'kubectl-set');
    await waitForImages(kube, web, [NEXT_COPY]);
    expect(await statusOf(web)).not.toHaveProperty('reverts');
  });
});

describe('kubectl replace, which takes everything of ours off', () => {
  it('has won over a DaemonSet with the fourth time, although nothing on it tells of the swaps', async () => {
    const namespace = await cluster.createNamespace();
    const manifest = aDaemonSet({ namespace, images: [ORIGINAL] });
    const agent = await swapped(manifest);
    const file = join(await cluster.processes.createFolder('replace'), 'agent.json');
    await writeFile(file, JSON.stringify(manifest));
    for (let times = 1; times <= 3; times += 1) {
      await kubectl(cluster, 'replace', '-f', file);
      await waitForImages(kube, agent, [COPY]);
    }
    await kubectl(cluster, 'replace', '-f', file);
    expect(await waitForEvent(kube, agent, 'SwapReverted')).toMatch(
      /^kubectl-replace put back .* 4 times within an hour\. The workload is left alone until/,
    );
    await kubectl(cluster, 'replace', '-f', file);
    const held = await read(kube, agent);
    await lookAgain();
    expect((await read(kube, agent)).metadata.generation).toBe(held.metadata.generation);
    expect(imagesOf(held)).toEqual([ORIGINAL]);
  });
});

describe('kubectl rollout undo', () => {
  const undo = async (workload: Workload): Promise<void> => {
    const { kind, metadata } = workload;
    await kubectl(cluster, 'rollout', 'undo', '-n', metadata.namespace ?? '', `${kind}/${metadata.name}`);
  };

  it('of a Deployment is respected, although it takes our annotations off', async () => {
    const namespace = await cluster.createNamespace();
    const web = await swapped(aDeployment({ namespace, images: [ORIGINAL] }));
    await undo(web);
    expect(await waitForEvent(kube, web, 'SwapReverted')).toMatch(
      /^kubectl put back .*That is respected until/,
    );
    const held = await waitForImages(kube, web, [ORIGINAL]);
    await lookAgain();
    expect((await read(kube, web)).metadata.generation).toBe(held.metadata.generation);
    expect(await countEvents(web)).toEqual({ ImageSwapped: 1, SwapReverted: 1 });
  });

  it('is respected when it happens while the controller is stopped', async () => {
    const namespace = await cluster.createNamespace();
    const web = await swapped(aDeployment({ namespace, images: [ORIGINAL] }));
    await controller.program.stop();
    await undo(web);
    const undone = await waitForImages(kube, web, [ORIGINAL]);
    expect(undone.metadata.annotations).not.toHaveProperty(STATUS);
    await controller.program.start();
    expect(await waitForEvent(kube, web, 'SwapReverted')).toMatch(/^kubectl put back/);
    const held = await read(kube, web);
    await controller.program.stop();
    await controller.program.start();
    await lookAgain();
    expect((await read(kube, web)).metadata.generation).toBe(held.metadata.generation);
    expect(imagesOf(held)).toEqual([ORIGINAL]);
    expect(await countEvents(web)).toEqual({ ImageSwapped: 1, SwapReverted: 1 });
  });

  it('of a DaemonSet is respected', async () => {
    const namespace = await cluster.createNamespace();
    const agent = await swapped(aDaemonSet({ namespace, images: [ORIGINAL] }));
    await undo(agent);
    expect(await waitForEvent(kube, agent, 'SwapReverted')).toMatch(/^kubectl put back/);
    await waitForImages(kube, agent, [ORIGINAL]);
  });

  it('to an older image than that before the swap is a deploy', async () => {
    const namespace = await cluster.createNamespace();
    const web = await swapped(aDeployment({ namespace, images: [ORIGINAL] }));
    await setImage(web, NEXT, 'kubectl-set');
    await waitForImages(kube, web, [NEXT_COPY]);
    const args = ['rollout', 'undo', '-n', namespace, 'deployment/app', '--to-revision=1'];
    await kubectl(cluster, ...args);
    await waitForImages(kube, web, [COPY]);
    expect(await countEvents(web)).toEqual({ ImageSwapped: 2 });
  });
});
