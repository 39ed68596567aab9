/** The backup moves to another registry after the sources of its images have gone. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, it, onTestFailed, onTestFinished } from 'vitest';

import { copyOf, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { aPullSecret } from '../support/docker-config.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { createAndRollOut, waitForRollout } from '../support/rollout.ts';
import { pushImage, SAMPLE_IMAGES } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { aDaemonSet, aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, tools, processes } = cluster;

let source: Registry;
let former: Registry;
let next: Registry;
let controller: Controller;
let namespace: string;

beforeAll(async () => {
  source = await startRegistry({ tools, processes, name: 'move-source' });
  former = await startRegistry({ tools, processes, name: 'move-former', auth: true });
  next = await startRegistry({ tools, processes, name: 'move-next' });
  namespace = await cluster.createNamespace('move');
  await kube.create(aPullSecret({ namespace, name: 'former' }, former));
  await installController(cluster, {
    REGISTRY_PREFIX: `${former.host}/old`,
    INSECURE_REGISTRIES: [source, former, next].map(({ host }) => host).join(','),
    REQUEUE_AFTER: '1s',
  });
  controller = await startController(cluster, { name: 'move-backup', registries: [former] });
});

afterAll(async () => {
  await controller.program.stop();
  await Promise.all([source, former, next].map((registry) => registry.stop().catch(() => undefined)));
});

/** Nobody answers there any more, nor another registry that would take the port. */
async function stopForGood(registry: Registry): Promise<void> {
  await registry.stop();
  const dead = createServer((socket) => socket.destroy());
  dead.listen(Number(registry.host.split(':')[1]), '127.0.0.1');
  await once(dead, 'listening');
  onTestFinished(() => void dead.close());
}

/** A move has many steps: which one was not taken, only the log tells. */
function tellLogOnFailure(): void {
  onTestFailed(async () => console.error((await controller.program.log()).slice(-20_000)));
}

it('takes the copies along, index and single manifest alike', async () => {
  tellLogOnFailure();
  const index = await pushImage(source, SAMPLE_IMAGES.multiPlatform);
  const single = await pushImage(source, SAMPLE_IMAGES.singleManifest);
  const options = { namespace, pullSecrets: ['former'] };
  const web = aDeployment({ ...options, images: [index.reference] });
  const agent = aDaemonSet({ ...options, name: 'agent', images: [single.reference] });
  await Promise.all([web, agent].map((workload) => createAndRollOut(kube, workload)));
  await waitForImages(kube, web, [copyOf(index, `${former.host}/old`)]);
  await waitForImages(kube, agent, [copyOf(single, `${former.host}/old`)]);
  await Promise.all([web, agent].map((workload) => waitForRollout(kube, workload)));

  await stopForGood(source);
  await changeSettings(kube, {
    REGISTRY_PREFIX: `${next.host}/new`,
    FORMER_PREFIXES: `${former.host}/old`,
  });
  await waitForImages(kube, web, [copyOf(index, `${next.host}/new`)]);
  await waitForImages(kube, agent, [copyOf(single, `${next.host}/new`)]);
  await Promise.all([web, agent].map((workload) => waitForRollout(kube, workload)));
  const moved = (await controller.log())
    .filter(({ message }) => message === 'copy verified')
    .map((line) => String(line['source']));
  expect(moved.filter((from) => from.startsWith(`${former.host}/old/`))).toHaveLength(2);
});

it('finds what was seeded by hand, as docs/moving.md says, without its source', async () => {
  tellLogOnFailure();
  await controller.program.stop();
  const gone = await startRegistry({ tools, processes, name: 'move-seeded' });
  // Of its own: a node that had it from another registry would report that name of it, which proves nothing about this one.
  const spec = { format: 'oci-index', attestation: true, content: 'seeded by hand' } as const;
  const image = await pushImage(gone, { repository: 'shop/api', tag: '1.1', spec });
  const seeded = aDeployment({ namespace, name: 'seeded', images: [image.reference] });
  await createAndRollOut(kube, seeded);

  const hosts = [gone.host, next.host].map((host) => [host, { hostname: host, tls: 'disabled' }] as const);
  const file = join(await processes.createFolder('regctl'), 'config.json');
  await writeFile(file, JSON.stringify({ hosts: Object.fromEntries(hosts) }));
  const regctl = (...args: string[]) =>
    promisify(execFile)(tools.regctl, args, { env: { ...process.env, REGCTL_CONFIG: file } });
  const copy = `${next.host}/new/${gone.host.replace(':', '_')}/${image.repository}:${image.tag}`;
  const digest = (await regctl('image', 'digest', image.reference)).stdout.trim();
  await regctl('image', 'copy', `${image.reference}@${digest}`, `${copy}--${digest.slice(7, 19)}`);
  await regctl('image', 'copy', `${image.reference}@${digest}`, copy);
  await stopForGood(gone);

  const hostsInPlain = [source, former, next, gone].map(({ host }) => host).join(',');
  await changeSettings(kube, { INSECURE_REGISTRIES: hostsInPlain });
  await controller.program.start();
  await waitForImages(kube, seeded, [copyOf(image, `${next.host}/new`)]);
  const started = (await controller.log()).filter(({ message }) => message === 'copy started');
  expect(started.map((line) => String(line['source'])).filter((from) => from.startsWith(gone.host))).toEqual(
    [],
  );
});
