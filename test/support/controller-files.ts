/** What the earlier stages of the Dockerfile make, made on this machine: no container engine is needed. */
import { execFile } from 'node:child_process';
import { readdir, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './controller.ts';
import { parseFinalStage, type FinalStage } from './dockerfile.ts';
import type { ImageFile, ImageSpec } from './image-builder.ts';

const run = promisify(execFile);

/** Of the base image, which has the C++ runtime and nothing else that matters here. */
interface Library {
  readonly name: string;
  readonly path: string;
}

/** Libraries that a program needs, by what the dynamic loader of this machine says; the loader is one of them. */
export async function findLibraries(program: string): Promise<readonly Library[]> {
  const { stdout } = await run('ldd', [program]);
  return stdout.split('\n').flatMap((line) => {
    const path = /(\/\S+)/.exec(line)?.[1];
    const name = /([\w+-]+)\.so[.\d]*/.exec(line)?.[1];
    return path && name ? [{ name, path }] : [];
  });
}

/**
 * The image of the controller: each instruction of the Dockerfile's last stage is followed. The base image is not to be had
 * without a network; in its place is what Node needs of it, from this machine.
 */
export async function describeControllerImage(options: {
  readonly regctl: string;
  /** An empty folder for the bundle. */
  readonly folder: string;
}): Promise<ImageSpec> {
  const { regctl, folder } = options;
  await run('npm', ['run', '--silent', 'build', '--', '--dir', folder], { cwd: ROOT });
  const node = await realpath(process.execPath);
  const libraries = await findLibraries(node);
  const stage = parseFinalStage(await readFile(join(ROOT, 'Dockerfile'), 'utf8'));
  const made: Readonly<Record<string, string>> = {
    '/node/node': node,
    '/node/libatomic.so.1': libraries.find(({ name }) => name === 'libatomic')?.path ?? '',
    '/regctl': regctl,
    '/build/dist': folder,
  };
  const base = libraries.filter(({ name }) => name !== 'libatomic');
  return {
    format: 'oci-manifest',
    content: 'controller',
    platforms: [`linux/${process.arch === 'x64' ? 'amd64' : process.arch}`],
    layers: [
      await Promise.all(base.map(async ({ path }) => fileAt(path, await realpath(path)))),
      ...(await Promise.all(stage.copies.map(async (copy) => copyFiles(made, copy)))),
    ],
    config: {
      User: stage.user,
      Env: stage.environment,
      Entrypoint: stage.entrypoint,
    },
  };
}

async function copyFiles(
  made: Readonly<Record<string, string>>,
  { from, to }: FinalStage['copies'][number],
): Promise<readonly ImageFile[]> {
  const path = made[from];
  if (!path) {
    throw new Error(`the Dockerfile copies ${from}, which is not made here`);
  }
  if (from !== '/build/dist') {
    return [await fileAt(to, path)];
  }
  const names = await readdir(path);
  return Promise.all(names.map(async (name) => fileAt(join(to, name), join(path, name))));
}

async function fileAt(path: string, source: string): Promise<ImageFile> {
  return { path: path.replace(/^\//, ''), bytes: await readFile(source) };
}
