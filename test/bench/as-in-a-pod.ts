/** Programs are measured as the image has them: bundled, and with the options that Node gets in a pod. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { ROOT } from '../support/controller.ts';
import { parseFinalStage } from '../support/dockerfile.ts';

const run = promisify(execFile);

/**
 * What Node would find out by itself in a pod with the memory limit of the manifest (256Mi): half of it for objects that
 * last. With the memory of a whole machine it would collect its garbage much later.
 */
const POD_MEMORY = '--max-old-space-size=128';

/** Makes one file of a program, and of its imports that are not loaded later, in `folder`; named as its source is. */
export async function bundleProgram(source: string, folder: string): Promise<void> {
  await run('npm', ['run', '--silent', 'build', '--', '--input', source, '--dir', folder], { cwd: ROOT });
}

const PATHS = new Set(['PATH', 'LD_LIBRARY_PATH']);

/** What the Dockerfile sets for the program, apart from the paths. */
export async function readImageEnvironment(): Promise<Readonly<Record<string, string>>> {
  const { environment } = parseFinalStage(await readFile(join(ROOT, 'Dockerfile'), 'utf8'));
  return Object.fromEntries(
    environment.flatMap((text): [string, string][] => {
      const [, name = '', value = ''] = /^(\w+)=(.*)$/.exec(text) ?? [];
      return PATHS.has(name) ? [] : [[name, value]];
    }),
  );
}

/** For the command line of Node; those of the image are in its Dockerfile. */
export async function readNodeOptions(): Promise<readonly string[]> {
  const { NODE_OPTIONS: option } = await readImageEnvironment();
  if (option === undefined) {
    throw new Error('the Dockerfile has no NODE_OPTIONS');
  }
  return [POD_MEMORY, option];
}
