import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { InstallDeps } from './controller.ts';
import type { Workload } from './objects.ts';

const run = promisify(execFile);

/** Runs Helm with nothing of this machine's user; returns what it printed. */
export async function helm(
  { tools, kubeconfigFile, processes }: InstallDeps,
  ...args: readonly string[]
): Promise<string> {
  const home = await processes.createFolder('helm');
  const { stdout } = await run(tools.helm, ['--kubeconfig', kubeconfigFile, ...args], {
    env: { PATH: process.env['PATH'], HOME: home },
  });
  return stdout;
}

/** A chart of one workload, whose first container runs `.Values.image`; returns its folder. */
export async function writeChart({ processes }: InstallDeps, workload: Workload): Promise<string> {
  const folder = await processes.createFolder(`chart-${workload.metadata.name}`);
  const { spec } = workload;
  const [first, ...rest] = spec.template.spec.containers;
  const containers = [{ ...first, image: '{{ .Values.image }}' }, ...rest];
  const template = { ...spec.template, spec: { ...spec.template.spec, containers } };
  await mkdir(join(folder, 'templates'), { recursive: true });
  const files = {
    'Chart.yaml': { apiVersion: 'v2', name: workload.metadata.name, version: '1.0.0' },
    'values.yaml': { image: first?.image },
    'templates/workload.yaml': { ...workload, spec: { ...spec, template } },
  };
  // JSON is YAML.
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), JSON.stringify(content));
  }
  return folder;
}
