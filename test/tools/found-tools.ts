import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { ToolName } from './tool-modules.ts';

const run = promisify(execFile);

const OLDEST_REGCTL = [0, 11, 5] as const;

export type FoundTools = Partial<Record<ToolName, string>>;

/**
 * Programs that are on this machine already: those in the folder that `KUBEBUILDER_ASSETS` names, and a new enough
 * `regctl` from PATH. A folder that has only some of them is fine; the others are built.
 */
export async function findInstalledTools(environment: NodeJS.ProcessEnv): Promise<FoundTools> {
  const found: FoundTools = {};
  const assets = environment['KUBEBUILDER_ASSETS'];
  if (assets) {
    const names = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl'] as const;
    for (const name of names) {
      if (await isProgram(join(assets, name))) {
        found[name] = join(assets, name);
      }
    }
    if (!found.etcd || !found['kube-apiserver']) {
      throw new Error(
        `KUBEBUILDER_ASSETS is "${assets}", but there is no etcd and kube-apiserver; unset it to build them.`,
      );
    }
  }
  const regctl = await findRegctl(environment);
  return regctl ? { ...found, regctl } : found;
}

async function findRegctl(environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const folder of (environment['PATH'] ?? '').split(delimiter)) {
    const file = join(folder, 'regctl');
    if (folder && (await isProgram(file))) {
      return (await isNewEnough(file)) ? file : undefined;
    }
  }
  return undefined;
}

async function isNewEnough(regctl: string): Promise<boolean> {
  const version = await run(regctl, ['version', '--format', '{{.VCSTag}}']).catch(() => undefined);
  const match = /^v?(\d+)\.(\d+)\.(\d+)$/.exec(version?.stdout.trim() ?? '');
  if (!match) {
    return false;
  }
  const difference = OLDEST_REGCTL.map((oldest, index) => Number(match[index + 1]) - oldest);
  return (difference.find((part) => part !== 0) ?? 0) >= 0;
}

export async function isProgram(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
