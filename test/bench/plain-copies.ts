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
  const startedAtMs = performance.now();
  const xargs = spawn('xargs', ['-P4', '-L1', tools.regctl, 'image', 'copy'], {
    stdio: ['pipe', 'ignore', 'inherit'],
    env: { PATH: process.env['PATH'], REGCTL_CONFIG: configFile },
  });
  xargs.stdin.end(`${pairs.join('\n')}\n`);
  const [exitCode] = await once(xargs, 'exit');
  if (exitCode !== 0) {
    throw new Error(`xargs ended with exit code ${exitCode}`);
  }
  return { wallMs: performance.now() - startedAtMs };
}
