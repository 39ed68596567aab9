import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findInstalledTools } from './found-tools.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'found-tools-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function addProgram(name: string, output = ''): Promise<void> {
  const file = join(folder, name);
  await writeFile(file, `#!/bin/sh\necho '${output}'\n`);
  await chmod(file, 0o755);
}

it('uses what the folder in KUBEBUILDER_ASSETS has, and leaves the rest to be built', async () => {
  await addProgram('etcd');
  await addProgram('kube-apiserver');
  expect(await findInstalledTools({ KUBEBUILDER_ASSETS: folder })).toEqual({
    etcd: join(folder, 'etcd'),
    'kube-apiserver': join(folder, 'kube-apiserver'),
  });
});

it('refuses a KUBEBUILDER_ASSETS that is no such folder', async () => {
  await expect(findInstalledTools({ KUBEBUILDER_ASSETS: folder })).rejects.toThrow('KUBEBUILDER_ASSETS is');
});

it.each([
  ['v0.11.5', true],
  ['v0.12.0', true],
  ['v1.0.0', true],
  ['v0.11.4', false],
  ['v0.9.10', false],
  ['unknown', false],
])('regctl %s in PATH is used: %s', async (version, isUsed) => {
  await addProgram('regctl', version);
  const { regctl } = await findInstalledTools({ PATH: `/nowhere:${folder}` });
  expect(regctl).toBe(isUsed ? join(folder, 'regctl') : undefined);
});
