/**
 * What the tests of `test/node` and the demo run on: a real node where this machine can run one, otherwise the test
 * kubelet, and never without saying so.
 */
import { ensureNodeTools, ensureTools, type NodeTools, type Tools } from '../../tools/build.ts';
import type { ClusterConnection } from '../cluster.ts';
import { NODE_NAME, startControlPlane, type ControlPlane } from '../control-plane.ts';
import { dockerConfigFor } from '../docker-config.ts';
import { createProcesses, type Processes } from '../processes.ts';
import { startRegistry, type Registry } from '../registry.ts';
import { forgetPulledImages, startTestKubelet } from '../test-kubelet.ts';
import type { Kube } from '../kube.ts';
import { describeProblems, findNodeProblems, readMachineFacts } from './conditions.ts';
import { pushPauseImage, seedNodeImages, type NodeImages } from './node-images.ts';
import { removePulledImages, startRealNode, type NodeConnection } from './real-node.ts';
import { startSandbox, type Sandbox } from './sandbox.ts';

export interface NodeClusterConnection extends Omit<ClusterConnection, 'images'> {
  readonly images: NodeImages;
  /** Undefined with the test kubelet. */
  readonly node?: NodeConnection;
  /** Path of the program in the images; undefined with the test kubelet. */
  readonly nodeProgram?: string;
  /** Where a server has to listen that the node and its pods are to reach. */
  readonly address: string;
}

export interface NodeCluster {
  readonly connection: NodeClusterConnection;
  readonly processes: Processes;
  readonly controlPlane: ControlPlane;
  /** Open to everybody; holds `images`. */
  readonly source: Registry;
  /** Wants credentials, which the node has; empty. */
  readonly backup: Registry;
  stop(): Promise<void>;
}

export interface NodeClusterOptions {
  /** Told before each step. */
  readonly onStep?: (step: string) => void;
  /** Told why there is no real node. */
  readonly onFallback: (text: string) => void;
  /** Where `REQUIRE_NODE` is looked up: with it, to have no real node is a failure. */
  readonly environment?: NodeJS.ProcessEnv;
}

/** @throws {Error} with every condition that is not met, when a real node is required. */
export async function startNodeCluster(options: NodeClusterOptions): Promise<NodeCluster> {
  const { onFallback, onStep = () => undefined, environment = process.env } = options;
  const problems = findNodeProblems(await readMachineFacts());
  if (problems.length > 0) {
    const text = describeProblems(problems);
    if (environment['REQUIRE_NODE']) {
      throw new Error(`${text}\nREQUIRE_NODE is set, so the test kubelet is not used instead.`);
    }
    onFallback(`${text}\nThe test kubelet is used instead: no container runs.`);
  }
  onStep('finding the tools');
  const tools = await ensureTools();
  const nodeTools = problems.length === 0 ? await ensureNodeTools() : undefined;
  const processes = createProcesses();
  try {
    return await startParts({ tools, nodeTools, processes, onStep });
  } catch (error) {
    await processes.close();
    throw error;
  }
}

interface Parts {
  readonly tools: Tools;
  readonly nodeTools: NodeTools | undefined;
  readonly processes: Processes;
  readonly onStep: (step: string) => void;
}

async function startParts({ tools, nodeTools, processes, onStep }: Parts): Promise<NodeCluster> {
  onStep('starting two registries and a control plane');
  const sandbox = nodeTools && (await startSandbox(processes));
  const address = sandbox?.hostAddress ?? '127.0.0.1';
  const [source, backup, controlPlane] = await Promise.all([
    startRegistry({ tools, processes, name: 'source-registry', address }),
    startRegistry({ tools, processes, name: 'backup-registry', address, auth: true }),
    startControlPlane({ tools, processes, address }),
  ]);
  const images = await seedNodeImages(source, nodeTools?.['node-program']);
  onStep(sandbox ? 'starting containerd, kubelet and kube-proxy' : 'registering a node');
  const base = { processes, controlPlane, source, backup };
  const node =
    nodeTools && sandbox
      ? await startNode({ ...base, nodeTools, sandbox })
      : await startReplacement({ ...base, name: NODE_NAME });
  return {
    ...base,
    connection: {
      tools,
      kube: controlPlane.connection,
      kubeconfigFile: controlPlane.kubeconfigFile,
      auditLogFile: controlPlane.auditLogFile,
      nodes: [NODE_NAME],
      source: connectionTo(source),
      backup: connectionTo(backup),
      images,
      address,
      ...node.connection,
    },
    async stop() {
      await node.stop();
      await controlPlane.stop();
      await processes.close();
    },
  };
}

interface NodeDeps extends Pick<NodeCluster, 'processes' | 'controlPlane' | 'source' | 'backup'> {
  readonly nodeTools: NodeTools;
  readonly sandbox: Sandbox;
}

interface StartedNode {
  readonly connection: Pick<NodeClusterConnection, 'node' | 'nodeProgram'>;
  stop(): Promise<void>;
}

async function startNode({ nodeTools, source, backup, ...deps }: NodeDeps): Promise<StartedNode> {
  // In a registry of its own, which stays when a test ends the others.
  const program = nodeTools['node-program'];
  const system = await startRegistry({
    tools: await ensureTools(),
    processes: deps.processes,
    name: 'node-registry',
    address: deps.sandbox.hostAddress,
  });
  const { reference } = await pushPauseImage(system, program);
  const { connection: node, ...programs } = await startRealNode({
    ...deps,
    tools: nodeTools,
    pauseImage: reference,
    registries: [system, source, backup],
  });
  return {
    connection: { node, nodeProgram: program },
    async stop() {
      await Promise.all([programs.kubelet.stop(), programs.kubeProxy.stop()]);
      await programs.containerd.stop();
    },
  };
}

async function startReplacement({
  controlPlane: { kube },
  backup,
  name,
}: Pick<NodeCluster, 'controlPlane' | 'backup'> & { readonly name: string }): Promise<StartedNode> {
  const kubelet = await startTestKubelet({ kube, nodes: [{ name }], nodeConfig: dockerConfigFor([backup]) });
  return { connection: {}, stop: () => kubelet.stop() };
}

function connectionTo({ host, url, credentials, logFile }: Registry): NodeClusterConnection['source'] {
  return { host, url, logFile, ...(credentials && { credentials }) };
}

/** Empties the image cache of the node, real or not. */
export async function emptyImageCache(kube: Kube, node: NodeConnection | undefined): Promise<void> {
  await (node ? removePulledImages(node) : forgetPulledImages(kube));
}
