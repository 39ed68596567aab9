/**
 * What the Dockerfile puts into the image, run as the pod runs it: the bundle, the locked Node and the engine, in a folder
 * that cannot be written to, as user 65532. No container engine is needed; what it would add is not proven here.
 */
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, waitForImages } from '../support/backed-up.ts';
import { findLibraries } from '../support/controller-files.ts';
import { installController, ROOT, startController, type ControllerImage } from '../support/controller.ts';
import { waitForRollout } from '../support/rollout.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images, tools } = cluster;
const run = promisify(execFile);
const USER_ID = 65_532;

let root: string;
let image: ControllerImage;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'backup-image-registry-image-'));
  const folders = { app: join(root, 'app'), bin: join(root, 'bin'), mounted: join(root, 'mounted') };
  await Promise.all(Object.values(folders).map((folder) => mkdir(folder)));
  await run('npm', ['run', '--silent', 'build', '--', '--dir', folders.app], { cwd: ROOT });
  await copyFile(await realpath(process.execPath), join(folders.bin, 'node'));
  await copyFile(tools.regctl, join(folders.bin, 'regctl'));
  await Promise.all([root, folders.app, folders.bin, folders.mounted].map((folder) => chmod(folder, 0o555)));
  image = {
    command: join(folders.bin, 'node'),
    main: join(folders.app, 'main.mjs'),
    path: folders.bin,
    folder: folders.mounted,
    userId: process.getuid?.() === 0 ? USER_ID : undefined,
  };
  if (image.userId === undefined) {
    // Only root writes into such a folder.
    await chmod(folders.mounted, 0o755);
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
  const web = await waitForRollout(kube, await kube.create(aDeployment({ namespace, images: [reference] })));
  await waitForImages(kube, web, [copyOf(images.multiPlatform, prefix)]);
  const { ended } = program;
  await program.stop();
  expect(await ended).toBe(0);
});

it('has the entry point that the Dockerfile names', async () => {
  const dockerfile = await readFile(join(ROOT, 'Dockerfile'), 'utf8');
  expect(dockerfile).toContain('ENTRYPOINT ["/usr/local/bin/node", "/app/main.mjs"]');
  expect(image.main.endsWith('/app/main.mjs')).toBe(true);
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
