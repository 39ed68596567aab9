/**
 * A real node: containerd, runc, kubelet and kube-proxy, in a sandbox.
 *
 * One node only: pods of two would need a network between them.
 */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { NodeTools } from '../../tools/build.ts';
import { NODE_NAME, type ControlPlane } from '../control-plane.ts';
import { dockerConfigFor } from '../docker-config.ts';
import type { AnyObject, Condition } from '../objects.ts';
import type { Processes, RunningProgram } from '../processes.ts';
import type { RegistryConnection } from '../registry.ts';
import { waitFor } from '../wait-for.ts';
import { createCgroup } from './cgroups.ts';
import { findCniFolder } from './conditions.ts';
import { CONTAINERD_SOCKET, writeNodeFiles, writeRegistryFile, type NodeFiles } from './node-files.ts';
import type { Sandbox } from './sandbox.ts';

const run = promisify(execFile);

export interface RealNodeOptions {
  readonly tools: NodeTools;
  readonly processes: Processes;
  readonly sandbox: Sandbox;
  readonly controlPlane: ControlPlane;
  readonly pauseImage: string;
  /** Registries that the node can pull from, with credentials of the node where they have some. */
  readonly registries: readonly RegistryConnection[];
}

/** What another process needs to reach the node: plain data. */
export interface NodeConnection {
  readonly ctr: string;
  readonly socket: string;
  readonly pauseImage: string;
  /** Of the hosts that the node speaks plain HTTP to. */
  readonly registriesFolder: string;
}

export interface RealNode {
  readonly connection: NodeConnection;
  readonly containerd: RunningProgram;
  readonly kubelet: RunningProgram;
  readonly kubeProxy: RunningProgram;
}

export async function startRealNode(options: RealNodeOptions): Promise<RealNode> {
  const { tools, processes, sandbox, pauseImage, registries, controlPlane } = options;
  const folder = await processes.createFolder('node');
  const files = await writeNodeFiles({
    ...controlPlane,
    folder,
    sandbox,
    pauseImage,
    cniFolder: (await findCniFolder()) ?? '',
  });
  await Promise.all(registries.map(async ({ host }) => writeRegistryFile(files.registries, host)));
  await writeNodeCredentials(folder, registries);
  processes.ownCgroup(sandbox.name);
  await createCgroup(sandbox.name);
  const connection = {
    ctr: tools.ctr,
    socket: join(folder, CONTAINERD_SOCKET),
    pauseImage,
    registriesFolder: files.registries,
  };
  const containerd = await startContainerd(options, { files, connection });
  const [kubelet, kubeProxy] = await Promise.all([
    startKubelet(options, files),
    processes.run({
      ...sandbox.inside({
        command: tools['kube-proxy'],
        args: [`--config=${files.kubeProxy}`, `--hostname-override=${NODE_NAME}`],
      }),
      name: 'kube-proxy',
    }),
  ]);
  return { connection, containerd, kubelet, kubeProxy };
}

/** For all pods. Where the kubelet looks for it is a folder of the sandbox's own. */
async function writeNodeCredentials(
  folder: string,
  registries: readonly RegistryConnection[],
): Promise<void> {
  const file = join(folder, 'var/lib/kubelet/config.json');
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, dockerConfigFor(registries), { mode: 0o600 });
}

async function startContainerd(
  { tools, processes, sandbox }: RealNodeOptions,
  { files, connection }: { files: NodeFiles; connection: NodeConnection },
): Promise<RunningProgram> {
  return processes.run({
    ...sandbox.inside({ command: tools.containerd, args: ['--config', files.containerd] }),
    name: 'containerd',
    isReady: async () => (await runCtr(connection, 'version')).length > 0,
  });
}

async function startKubelet(
  { tools, processes, sandbox, controlPlane: { kube } }: RealNodeOptions,
  files: NodeFiles,
): Promise<RunningProgram> {
  return processes.run({
    ...sandbox.inside({
      command: tools.kubelet,
      args: [
        `--config=${files.kubelet}`,
        `--kubeconfig=${files.kubeletKubeconfig}`,
        `--hostname-override=${NODE_NAME}`,
        `--node-ip=${sandbox.nodeAddress}`,
      ],
    }),
    name: 'kubelet',
    isReady: async () => {
      const node = await kube.get<NodeObject>({ apiVersion: 'v1', kind: 'Node', name: NODE_NAME });
      return (
        node?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
      );
    },
  });
}

type NodeObject = AnyObject & { readonly status?: { readonly conditions?: readonly Condition[] } };

/** Output of containerd's own client, for images and containers of Kubernetes. */
async function runCtr({ ctr, socket }: NodeConnection, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run(ctr, ['--address', socket, '--namespace', 'k8s.io', ...args]);
  return stdout;
}

/** From now on the node may speak plain HTTP to this registry. */
export async function allowRegistry(node: NodeConnection, { host }: { host: string }): Promise<void> {
  await writeRegistryFile(node.registriesFolder, host);
}

/** Empties the image cache of the node: the next start of a container asks the registry. What runs goes on. */
export async function removePulledImages(node: NodeConnection): Promise<void> {
  const listed = async (): Promise<readonly string[]> => {
    const names = (await runCtr(node, 'images', 'list', '--quiet')).split('\n').filter(Boolean);
    return names.filter((name) => !name.includes('/node/pause'));
  };
  await waitFor(
    async () => {
      const names = await listed();
      if (names.length > 0) {
        await runCtr(node, 'images', 'remove', '--sync', ...names);
      }
      return (await listed()).length === 0;
    },
    { what: 'the image cache of the node to be empty' },
  );
}

/** SIGKILL for the first process of a container, as if it had crashed. `containerID` is that of a pod's status. */
export async function killContainer(node: NodeConnection, containerID: string): Promise<void> {
  await runCtr(node, 'tasks', 'kill', '--signal', 'SIGKILL', containerID.replace('containerd://', ''));
}
