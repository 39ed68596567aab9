/** How the controller starts, waits and stops, on a real API server. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { copyOf, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  CONFIG_MAP,
  installController,
  startController,
  type Controller,
  type ControllerOptions,
} from '../support/controller.ts';
import { waitForEvent } from '../support/events.ts';
import { findFreePort } from '../support/free-port.ts';
import { writeKubeconfig } from '../support/kubeconfig.ts';
import type { KubeObject } from '../support/objects.ts';
import { createAndRollOut } from '../support/rollout.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images, processes } = cluster;
const PREFIX = `${backup.host}/start`;

let starts = 0;
let controller: Controller | undefined;

async function start(options: Partial<ControllerOptions> = {}): Promise<Controller> {
  starts += 1;
  controller = await startController(cluster, { name: `start-${starts}`, registries: [backup], ...options });
  return controller;
}

async function readPage({ healthUrl }: Controller, page: string): Promise<{ status: number; body: string }> {
  const answer = await fetch(healthUrl + page);
  return { status: answer.status, body: await answer.text() };
}

beforeEach(async () => {
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
    NAMESPACES_EXCLUDE_LIST: 'kube-*',
  });
});

afterEach(async () => {
  await controller?.program.stop();
});

describe('without usable settings', () => {
  it('it waits for an edit of the ConfigMap, is not ready, and says what to do', async () => {
    await changeSettings(kube, { REGISTRY_PREFIX: '<registry.domain/username>' });
    const waiting = await start({ readyPage: '/healthz' });
    const configMap = await kube.get(CONFIG_MAP);
    expect(await waitForEvent(kube, configMap as KubeObject, 'ConfigInvalid')).toMatch(
      /REGISTRY_PREFIX is still the example/,
    );
    await waitFor(async () => (await readPage(waiting, '/readyz')).body.includes('[+]watch ok'), {
      what: 'the workloads to be known',
    });
    expect(await readPage(waiting, '/readyz')).toEqual({
      status: 503,
      body: '[-]settings failed\n[+]watch ok\n',
    });

    await changeSettings(kube, { REGISTRY_PREFIX: PREFIX });
    await waitFor(async () => (await readPage(waiting, '/readyz')).status === 200, {
      what: 'the edit to be taken',
    });
    const namespace = await cluster.createNamespace();
    const web = await createAndRollOut(
      kube,
      aDeployment({ namespace, images: [images.dockerList.reference] }),
    );
    await waitForImages(kube, web, [copyOf(images.dockerList, PREFIX)]);
  });

  it('it ends with exit code 2 when there is no ConfigMap either', async () => {
    await kube.delete(CONFIG_MAP);
    const { program } = await start({ readyPage: 'none' });
    expect(await program.ended).toBe(2);
    expect(await program.log()).toMatch(
      /^REGISTRY_PREFIX is required.*kubectl apply -f \.\/config\/default\//m,
    );
  });

  it('it works with those of the environment when there is no ConfigMap', async () => {
    await kube.delete(CONFIG_MAP);
    const started = await start({ environment: { REGISTRY_PREFIX: PREFIX } });
    expect((await readPage(started, '/readyz')).status).toBe(200);
  });
});

describe('without an API server', () => {
  it('it waits, and stops when it is told to', async () => {
    const file = `${processes.folder}/nowhere.json`;
    const server = `https://127.0.0.1:${await findFreePort()}`;
    await writeKubeconfig(file, { ...cluster.connection, server });
    const { program, ...started } = await start({
      args: [`--kubeconfig=${file}`, '--leader-elect'],
      readyPage: '/healthz',
    });
    await waitFor(async () => (await started.log()).some(({ level }) => level === 'warn'), {
      what: 'a warning in the log',
    });
    expect((await started.log()).find(({ level }) => level === 'warn')).toMatchObject({
      message: expect.stringMatching(/not|fail|reach/i),
    });
    const { ended } = program;
    await program.stop();
    expect(await ended).toBe(0);
  });
});

it('serves metrics, among them what it has done', async () => {
  const namespace = await cluster.createNamespace();
  const web = await createAndRollOut(
    kube,
    aDeployment({ namespace, images: [images.singleManifest.reference] }),
  );
  const { metricsUrl } = await start();
  await waitForImages(kube, web, [copyOf(images.singleManifest, PREFIX)]);
  const metrics = await (await fetch(metricsUrl)).text();
  expect(metrics).toMatch(/^backup_image_registry_leader 1$/m);
  expect(metrics).toMatch(/^backup_image_registry_swaps_total\{kind="Deployment",result="swapped"\} [1-9]/m);
  expect(metrics).toMatch(/^backup_image_registry_copies_total\{result="failed"\} \d/m);
});
