/**
 * What the Dockerfile puts into the image, run as the pod runs it: the bundle, the locked Node and the engine, in a folder
 * that cannot be written to, as user 65532. No container engine is needed; what it would add is not proven here.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, waitForImages } from '../support/backed-up.ts';
import { describeControllerImage, findLibraries } from '../support/controller-files.ts';
import { installController, startController, type ControllerImage } from '../support/controller.ts';
import type { ImageSpec } from '../support/image-builder.ts';
import { createAndRollOut } from '../support/rollout.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images, tools } = cluster;
const run = promisify(execFile);

let root: string;
let image: ControllerImage;

/** As a container engine unpacks the layers. */
async function layOut({ layers = [] }: ImageSpec): Promise<void> {
  for (const { path, bytes } of layers.flat()) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), bytes, { mode: 0o755 });
  }
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'backup-image-registry-image-'));
  const folder = join(root, 'mounted');
  const spec = await describeControllerImage({ regctl: tools.regctl, folder: join(root, 'bundle') });
  await layOut(spec);
  await mkdir(folder);
  await run('chmod', ['-R', 'a=rX', root]);
  const { Entrypoint: [command = '', main = ''] = [], User = '' } = spec.config ?? {};
  image = {
    command: join(root, command),
    main: join(root, main),
    path: join(root, 'usr/local/bin'),
    folder,
    userId: process.getuid?.() === 0 ? Number.parseInt(User, 10) : undefined,
  };
  if (image.userId === undefined) {
    // Only root writes into such a folder.
    await chmod(folder, 0o755);
  }
});

afterAll(async () => {
  await run('chmod', ['-R', 'u+w', root]);
  await rm(root, { recursive: true });
});

it('does the job', async () => {
  const prefix = `${backup.host}/image`;
  await installController(cluster, {
    REGISTRY_PREFIX: prefix,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
  });
  const { program } = await startController(cluster, { name: 'image', registries: [backup], image });
  const namespace = await cluster.createNamespace();
  const { reference } = images.multiPlatform;
  const web = await createAndRollOut(kube, aDeployment({ namespace, images: [reference] }));
  await waitForImages(kube, web, [copyOf(images.multiPlatform, prefix)]);
  const { ended } = program;
  await program.stop();
  expect(await ended).toBe(0);
});

it.runIf(process.platform === 'linux')(
  'needs no library that the base image does not have, besides the one that is copied',
  async () => {
    const needed = (await findLibraries(image.command)).map(({ name }) => name);
    const ofTheBase = new Set(
      'linux-vdso ld-linux-x86-64 ld-linux-aarch64 libc libdl libm libpthread librt libgcc_s libstdc++'.split(
        ' ',
      ),
    );
    expect(needed.filter((library) => !ofTheBase.has(library))).toEqual(['libatomic']);
  },
);
