import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { InstallDeps } from '../../support/controller.ts';
import { findFreePort } from '../../support/free-port.ts';
import type { RunningProgram } from '../../support/processes.ts';
import { connectAsServiceAccount } from '../../support/service-account.ts';
import { waitFor } from '../../support/wait-for.ts';
import { bundleProgram, readImageEnvironment, readNodeOptions } from '../as-in-a-pod.ts';
import { readCpuTime } from '../cpu-time.ts';

export const SERVICE_ACCOUNT = { namespace: 'backup-image-registry', name: 'backup-image-registry-sa' };
const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** What the image runs, as in a pod. */
export interface Bundle {
  readonly folder: string;
  readonly serviceAccountFolder: string;
  readonly nodeOptions: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** Of the probe that is loaded before the program. */
  readonly probeFile: string;
}

/**
 * The production bundle. One text in it is changed: where a pod has its ServiceAccount, because that folder is not
 * ours on this machine.
 */
export async function buildBundle(deps: InstallDeps): Promise<Bundle> {
  const folder = await deps.processes.createFolder('bundle');
  const serviceAccountFolder = await deps.processes.createFolder('service-account');
  await bundleProgram('src/main.ts', folder);
  const probeFolder = await deps.processes.createFolder('probe');
  await bundleProgram(fileURLToPath(import.meta.resolve('./block-probe.ts')), probeFolder);
  let changed = 0;
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), 'utf8');
    // A chunk of the client library has the same text and is not loaded in a cluster.
    changed += text.includes(SERVICE_ACCOUNT_FOLDER) ? 1 : 0;
    await writeFile(join(folder, name), text.replaceAll(SERVICE_ACCOUNT_FOLDER, serviceAccountFolder));
  }
  if (changed === 0) {
    throw new Error('the bundle does not know where a pod has its ServiceAccount');
  }
  const { token, ca } = await connectAsServiceAccount(deps, SERVICE_ACCOUNT);
  await mkdir(serviceAccountFolder, { recursive: true });
  await writeFile(join(serviceAccountFolder, 'token'), token, { mode: 0o600 });
  await writeFile(join(serviceAccountFolder, 'ca.crt'), ca);
  await writeFile(join(serviceAccountFolder, 'namespace'), SERVICE_ACCOUNT.namespace);
  return {
    folder,
    serviceAccountFolder,
    nodeOptions: await readNodeOptions(),
    environment: await readImageEnvironment(),
    probeFile: join(probeFolder, 'block-probe.mjs'),
  };
}

/** As in a pod of the manifests. */
export function environmentOf({ tools, connection }: InstallDeps, bundle: Bundle): NodeJS.ProcessEnv {
  const { hostname, port } = new URL(connection.server);
  return {
    ...bundle.environment,
    // Node gets its options on the command line.
    NODE_OPTIONS: undefined,
    PATH: [dirname(tools.regctl), process.env['PATH']].join(delimiter),
    KUBERNETES_SERVICE_HOST: hostname,
    KUBERNETES_SERVICE_PORT: port,
    POD_NAMESPACE: SERVICE_ACCOUNT.namespace,
    POD_NAME: 'k8s-backup-image-registry-controller-5d9c7b8f6-bench',
  };
}

export interface RunningBundle {
  readonly program: RunningProgram;
  readonly metricsUrl: string;
  /** The longest block of its event loop so far, in CPU time; to be asked once. */
  readLongestBlockMs(): Promise<number>;
  /** Until `/readyz` said so. */
  readonly startCpuMs: number;
  readonly startBytes: number;
  readonly startPeakBytes: number;
  readonly startWallMs: number;
}

let started = 0;

export async function startBundle(deps: InstallDeps, bundle: Bundle): Promise<RunningBundle> {
  started += 1;
  const blockFile = join(bundle.serviceAccountFolder, `block-${started}`);
  const [metrics, health] = [await findFreePort(), await findFreePort()];
  const startedAtMs = performance.now();
  const program = await deps.processes.run({
    name: `bundle-${started}`,
    command: process.execPath,
    args: [
      ...bundle.nodeOptions,
      `--import=${bundle.probeFile}`,
      join(bundle.folder, 'main.mjs'),
      '--leader-elect',
      `--metrics-bind-address=127.0.0.1:${metrics}`,
      `--health-probe-bind-address=127.0.0.1:${health}`,
    ],
    environment: { ...environmentOf(deps, bundle), BLOCK_PROBE_FILE: blockFile },
    isReady: async () => (await fetch(`http://127.0.0.1:${health}/readyz`)).ok,
    graceMs: 30_000,
  });
  const startWallMs = performance.now() - startedAtMs;
  const [{ ownMs }, { nowBytes, peakBytes }] = await Promise.all([
    readCpuTime(program.pid),
    readResident(program.pid),
  ]);
  return {
    program,
    metricsUrl: `http://127.0.0.1:${metrics}/metrics`,
    async readLongestBlockMs() {
      program.kill('SIGUSR2');
      const text = await waitFor(() => readFile(blockFile, 'utf8'), { what: 'the block probe' });
      return Number(text);
    },
    startCpuMs: ownMs,
    startBytes: nowBytes,
    startPeakBytes: peakBytes,
    startWallMs,
  };
}

export async function readResident(
  pid: number | undefined,
): Promise<{ readonly nowBytes: number; readonly peakBytes: number }> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  const read = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024;
  return { nowBytes: read('VmRSS'), peakBytes: read('VmHWM') };
}

/** Returns once it leads, and has looked at every workload. */
export async function waitUntilIdle({ metricsUrl }: RunningBundle, workloads: number): Promise<void> {
  await waitFor(
    async () => {
      const text = await (await fetch(metricsUrl)).text();
      const read = (metric: string): number =>
        [...text.matchAll(new RegExp(`^backup_image_registry_${metric} (\\d+)`, 'gm'))].reduce(
          (sum, [, value]) => sum + Number(value),
          0,
        );
      const looks = read('reconciles_total\\{name="workloads",result="success"\\}');
      return read('leader') === 1 && looks >= workloads && read('workqueue_depth\\{.*\\}') === 0;
    },
    { what: `${workloads} workloads to be looked at`, deadlineMs: 180_000, pollMs: 200 },
  );
}
