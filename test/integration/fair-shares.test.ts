/** One tenant wants much of registries that answer nobody; another one has a single image. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { delimiter, dirname, join } from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { installController, startController, type Controller } from '../support/controller.ts';
import { startNameServer, type NameServer } from '../support/name-server.ts';
import { findDigest, pushImage, type PushedImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup } = cluster;
const ROOT = join(import.meta.dirname, '../..');
/** Mounting and low ports are for root. */
const IS_ROOT = process.getuid?.() === 0;
const CONTAINERS = 12;

let names: NameServer | undefined;
let controller: Controller;
let silent: Server;
const connections = { begun: new Set<Socket>(), ended: 0 };

beforeAll(async () => {
  names = IS_ROOT ? await startNameServer(cluster.processes) : undefined;
  silent = createServer((socket) => {
    connections.begun.add(socket);
    socket.resume().on('error', () => undefined);
    socket.on('close', () => {
      connections.ended += 1;
    });
  });
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  const { port } = new URL(source.url);
  await installController(cluster, {
    REGISTRY_PREFIX: `${backup.host}/fair-shares`,
    INSECURE_REGISTRIES: [source.host, backup.host, silentHost(), `registry.fast.test:${port}`].join(','),
    MODE: 'copy',
    SOURCE_HOSTS: '127.0.0.1:*,*.test,*.test:*',
  });
  controller = await startController(cluster, {
    name: 'fair-shares',
    registries: [backup],
    ...(names && {
      image: {
        command: names.node,
        main: join(ROOT, 'src/main.ts'),
        path: [dirname(cluster.tools.regctl), process.env['PATH']].join(delimiter),
        folder: await cluster.processes.createFolder('fair-shares-mounts'),
        userId: undefined,
      },
    }),
  });
});

afterAll(async () => {
  await controller.program.stop();
  for (const socket of connections.begun) {
    socket.destroy();
  }
  silent.close();
  await names?.close();
});

const silentHost = (): string => `127.0.0.1:${(silent.address() as AddressInfo).port}`;

/** Has no pods: what a template names is copied all the same. */
async function deploy(namespace: string, name: string, images: readonly string[]): Promise<void> {
  await kube.create(aDeployment({ namespace, name, images, replicas: 0 }));
}

async function deployMany(namespace: string, images: readonly string[]): Promise<void> {
  for (let from = 0; from < images.length; from += CONTAINERS) {
    await deploy(namespace, `app-${from}`, images.slice(from, from + CONTAINERS));
  }
}

async function waitForCopy({ repository, tag, digest }: PushedImage, host: string): Promise<void> {
  const copy = `fair-shares/${host.replace(':', '_')}/${repository}`;
  await waitFor(async () => (await findDigest(backup, { repository: copy, tag })) === digest, {
    what: `a copy of ${repository}`,
  });
}

it(
  'copies the image of one tenant before those of another, whose 72 images are at a silent port, have all been given up',
  { tags: 'attack-share' },
  async () => {
    const [hostile, shop] = [await cluster.createNamespace('hostile'), await cluster.createNamespace('shop')];
    const image = await pushImage(source, {
      repository: 'shop/web',
      tag: '1.0',
      spec: { format: 'oci-manifest', content: 'shop web' },
    });
    await deployMany(
      hostile,
      Array.from({ length: 72 }, (_, nth) => `${silentHost()}/app-${nth}:1.0`),
    );
    await waitFor(() => connections.begun.size > 0, { what: 'the silent port to be asked' });
    await deploy(shop, 'web', [image.reference]);
    await waitForCopy(image, source.host);
    // What is asked at the same time is given up at the same time, and a pause follows: most have not been asked yet.
    expect(connections.ended).toBeLessThan(24);
  },
);

it.runIf(IS_ROOT)(
  'copies the image of one tenant while 300 host names of another take three seconds each',
  { tags: 'attack-share' },
  async () => {
    const [hostile, shop] = [
      await cluster.createNamespace('slow-names'),
      await cluster.createNamespace('fast-name'),
    ];
    const image = await pushImage(source, {
      repository: 'shop/named',
      tag: '1.0',
      spec: { format: 'oci-manifest', content: 'shop named' },
    });
    await deployMany(
      hostile,
      Array.from({ length: 300 }, (_, nth) => `h${nth}.slow.test/app:1.0`),
    );
    await waitFor(() => (names?.slowNames.size ?? 0) > 0, { what: 'the first name to be asked for' });
    const host = image.reference.split('/')[0]?.replace('127.0.0.1', 'registry.fast.test') ?? '';
    await deploy(shop, 'web', [`${host}/${image.repository}:${image.tag}`]);
    await waitForCopy(image, host);
    expect(names?.slowNames.size).toBeLessThan(150);
  },
);
