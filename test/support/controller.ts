import { chmod, readFile, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { dockerConfigFor } from './docker-config.ts';
import { findFreePort } from './free-port.ts';
import type { Kube } from './kube.ts';
import type { KubeConnection } from './kube-transport.ts';
import type { Processes, RunningProgram } from './processes.ts';
import type { RegistryConnection } from './registry.ts';
import { writeServiceAccountKubeconfig } from './service-account.ts';
import type { Tools } from '../tools/build.ts';
import { waitFor } from './wait-for.ts';

export const ROOT = join(import.meta.dirname, '../..');
const MANIFESTS = join(ROOT, 'config/default');

export const CONTROLLER_NAMESPACE = 'backup-image-registry';
export const CONTROLLER_LEASE = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  namespace: CONTROLLER_NAMESPACE,
  name: 'k8s-backup-image-registry-controller',
} as const;
const SERVICE_ACCOUNT = { namespace: CONTROLLER_NAMESPACE, name: 'backup-image-registry-sa' };
export const CONFIG_MAP = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  namespace: CONTROLLER_NAMESPACE,
  name: 'k8s-backup-image-registry-controller-configuration',
} as const;

export interface InstallDeps {
  readonly tools: Tools;
  readonly kube: Kube;
  readonly connection: KubeConnection;
  readonly kubeconfigFile: string;
  readonly processes: Processes;
}

const run = promisify(execFile);

export async function kubectl(deps: Pick<InstallDeps, 'tools' | 'kubeconfigFile'>, ...args: string[]) {
  return run(deps.tools.kubectl, ['--kubeconfig', deps.kubeconfigFile, ...args]);
}

/**
 * Installs `config/default/` as README tells a user to: a copy of the folder, with the credentials edited, and the
 * settings given. No pod of the controller is started: it runs as a program of this machine, with the token of its own
 * ServiceAccount.
 */
export async function installController(
  deps: InstallDeps,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const folder = await deps.processes.createFolder('install');
  const deployment = await readFile(join(MANIFESTS, 'deployment.yaml'), 'utf8');
  await writeFile(join(folder, 'deployment.yaml'), deployment.replace('replicas: 2', 'replicas: 0'));
  await writeFile(join(folder, 'rbac.yaml'), await readFile(join(MANIFESTS, 'rbac.yaml'), 'utf8'));
  // One of an earlier test would keep its keys, and the events about it.
  await deps.kube.delete(CONFIG_MAP);
  // And would leave what has failed to the next one.
  await deps.kube.delete(CONTROLLER_LEASE);
  await kubectl(deps, 'apply', '-f', folder);
  // Whatever is in the cluster, no request leaves this machine.
  await changeSettings(deps.kube, { SOURCE_HOSTS: '127.0.0.1:*', ...settings });
}

/** Edits the ConfigMap; null removes a key. */
export async function changeSettings(
  kube: Kube,
  data: Readonly<Record<string, string | null>>,
): Promise<void> {
  await kube.patch(CONFIG_MAP, { data });
}

export interface Controller {
  readonly program: RunningProgram;
  /** Has `config.json`. */
  readonly credentialsFolder: string;
  readonly metricsUrl: string;
  readonly healthUrl: string;
  /** Lines of the log, parsed; lines that are not JSON are left out. */
  log(): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

/** Files of the container image, laid out in a folder of this machine. */
export interface ControllerImage {
  readonly command: string;
  readonly main: string;
  /** PATH. */
  readonly path: string;
  /** Where the pod would mount its files. */
  readonly folder: string;
  /** Undefined where this process may not become another user. */
  readonly userId: number | undefined;
}

export interface ControllerOptions {
  /** Also names the log file; unique among the programs of one `processes`. */
  readonly name?: string;
  readonly registries: readonly RegistryConnection[];
  readonly args?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  /** The page that says when it counts as started; default: `/readyz`. With `none` nothing is waited for. */
  readonly readyPage?: '/healthz' | '/readyz' | 'none';
  /** Run this instead of the source. */
  readonly image?: ControllerImage;
}

/** As if it were a pod of the Deployment that `config/default/` installs: by that it knows what it must not touch. */
function podNameOf(name: string): string {
  return `k8s-backup-image-registry-controller-5d9c7b8f6-${name.replaceAll('-', '')}`;
}

/** The source, as `npm start` runs it. */
async function runFromSource({ tools, processes }: InstallDeps, name: string): Promise<ControllerImage> {
  return {
    command: process.execPath,
    main: join(ROOT, 'src/main.ts'),
    path: [dirname(tools.regctl), process.env['PATH']].join(delimiter),
    folder: await processes.createFolder(name),
    userId: undefined,
  };
}

/** The files that a pod would have mounted: credentials for registries, and for the API server. */
async function writeMounts(
  deps: InstallDeps,
  folder: string,
  registries: readonly RegistryConnection[],
): Promise<string> {
  const file = join(folder, 'kubeconfig.json');
  await waitFor(() => writeServiceAccountKubeconfig(deps, { ...SERVICE_ACCOUNT, file }).then(() => true), {
    what: 'the ServiceAccount of the controller',
  });
  // The controller may run as another user, in a folder that nobody else gets to see.
  await chmod(file, 0o644);
  await writeFile(join(folder, 'config.json'), dockerConfigFor(registries));
  return file;
}

/** Starts the controller, from source or from an image, and waits until it is ready. */
export async function startController(deps: InstallDeps, options: ControllerOptions): Promise<Controller> {
  const { name = 'controller', registries, args = ['--leader-elect'], readyPage = '/readyz' } = options;
  const { command, main, path, folder, userId } = options.image ?? (await runFromSource(deps, name));
  const kubeconfigFile = await writeMounts(deps, folder, registries);
  const [metrics, health] = [await findFreePort(), await findFreePort()];
  const healthUrl = `http://127.0.0.1:${health}`;
  const program = await deps.processes.run({
    name,
    command,
    args: [
      main,
      `--kubeconfig=${kubeconfigFile}`,
      `--metrics-bind-address=127.0.0.1:${metrics}`,
      `--health-probe-bind-address=127.0.0.1:${health}`,
      ...args,
    ],
    environment: {
      PATH: path,
      DOCKER_CONFIG: folder,
      POD_NAMESPACE: CONTROLLER_NAMESPACE,
      POD_NAME: podNameOf(name),
      ...options.environment,
    },
    ...(userId !== undefined && { userId }),
    ...(readyPage !== 'none' && { isReady: async () => (await fetch(healthUrl + readyPage)).ok }),
    graceMs: 30_000,
  });
  return {
    program,
    credentialsFolder: folder,
    metricsUrl: `http://127.0.0.1:${metrics}/metrics`,
    healthUrl,
    log: async () => parseLog(await program.log()),
  };
}

/** Both, with the source and the backup of the tests; copies go below a path of that name. */
export async function installAndStart(
  cluster: InstallDeps & { readonly source: RegistryConnection; readonly backup: RegistryConnection },
  name: string,
): Promise<Controller> {
  const { source, backup } = cluster;
  await installController(cluster, {
    REGISTRY_PREFIX: `${backup.host}/${name}`,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
    REQUEUE_AFTER: '1s',
  });
  return startController(cluster, { name, registries: [backup] });
}

function parseLog(text: string): readonly Readonly<Record<string, unknown>>[] {
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as Readonly<Record<string, unknown>>];
    } catch {
      return [];
    }
  });
}
