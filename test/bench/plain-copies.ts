import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { SampleImage } from '../support/seed-images.ts';
import type { Laboratory, Route } from './laboratory.ts';

/** Where `copyWithXargs` puts an image. */
export function plainCopyOf(backupHost: string, { repository, tag }: SampleImage): string {
  return `${backupHost}/backup/${repository}:${tag}`;
}

/** The plainest way to copy: by tag, to the tag of the same name, four at a time, without a look before or after. */
export async function copyWithXargs(
  { tools, processes }: Pick<Laboratory, 'tools' | 'processes'>,
  { sourceHost, backupHost, images }: Route,
): Promise<{ readonly wallMs: number }> {
  const hosts = Object.fromEntries([sourceHost, backupHost].map((host) => [host, { tls: 'disabled' }]));
  const configFile = join(processes.folder, 'regctl.json');
  await writeFile(
    configFile,
    JSON.stringify({ version: 1, incDockerCred: false, incDockerCert: false, hosts }),
  );
  const pairs = images.map(
    (image) => `${sourceHost}/${image.repository}:${image.tag} ${plainCopyOf(backupHost, image)}`,
  );
  return runXargs([tools.regctl, 'image', 'copy'], pairs, { REGCTL_CONFIG: configFile });
}

/** The same with skopeo, which remembers where it has seen a layer, and asks the registry to mount it from there. */
export async function copyWithSkopeo({
  sourceHost,
  backupHost,
  images,
}: Route): Promise<{ readonly wallMs: number }> {
  const options = [
    '--quiet',
    '--insecure-policy',
    '--all',
    '--src-tls-verify=false',
    '--dest-tls-verify=false',
  ];
  const pairs = images.map(
    (image) =>
      `docker://${sourceHost}/${image.repository}:${image.tag} docker://${plainCopyOf(backupHost, image)}`,
  );
  return runXargs(['skopeo', 'copy', ...options], pairs, {});
}

/** It is a package of Debian, and need not be there. */
export async function hasSkopeo(): Promise<boolean> {
  const child = spawn('skopeo', ['--version'], { stdio: 'ignore' });
  return new Promise((resolve) => {
    child.on('error', () => resolve(false));
    child.on('exit', (code) => resolve(code === 0));
  });
}

/** Four at a time, one line for each. */
async function runXargs(
  command: readonly string[],
  lines: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<{ readonly wallMs: number }> {
  const startedAtMs = performance.now();
  const xargs = spawn('xargs', ['-P4', '-L1', ...command], {
    stdio: ['pipe', 'ignore', 'inherit'],
    env: { PATH: process.env['PATH'], ...environment },
  });
  xargs.stdin.end(`${lines.join('\n')}\n`);
  const [exitCode] = await once(xargs, 'exit');
  if (exitCode !== 0) {
    throw new Error(`xargs ended with exit code ${exitCode}`);
  }
  return { wallMs: performance.now() - startedAtMs };
}
