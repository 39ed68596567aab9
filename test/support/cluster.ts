import { ensureTools, type Tools } from '../tools/build.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import { dockerConfigFor } from './docker-config.ts';
import { createProcesses, type Processes } from './processes.ts';
import { startRegistry, type Registry, type RegistryConnection } from './registry.ts';
import { seedSampleImages, type PushedImage, type SampleName } from './seed-images.ts';
import { startTestKubelet, type TestKubelet } from './test-kubelet.ts';
import type { KubeConnection } from './kube-transport.ts';

export interface ClusterOptions {
  /** Default: two. */
  readonly nodes?: number;
  /** Told before each step. */
  readonly onStep?: (step: string) => void;
}

/** Everything that a test or the demo needs: control plane, nodes, a source registry with images, a backup registry. */
export interface Cluster {
  readonly tools: Tools;
  readonly processes: Processes;
  readonly controlPlane: ControlPlane;
  readonly kubelet: TestKubelet;
  /** Open to everybody; holds `images`. */
  readonly source: Registry;
  /** Wants credentials, which the nodes have; empty. */
  readonly backup: Registry;
  readonly images: Readonly<Record<SampleName, PushedImage>>;
  readonly connection: ClusterConnection;
  stop(): Promise<void>;
}

/** What another process needs to use the cluster: plain data. */
export interface ClusterConnection {
  readonly tools: Tools;
  readonly kube: KubeConnection;
  readonly kubeconfigFile: string;
  readonly auditLogFile: string;
  readonly nodes: readonly string[];
  readonly source: RegistryConnection;
  readonly backup: RegistryConnection;
  readonly images: Readonly<Record<SampleName, PushedImage>>;
}

export async function startCluster({
  nodes = 2,
  onStep = () => undefined,
}: ClusterOptions = {}): Promise<Cluster> {
  onStep('finding the tools');
  const tools = await ensureTools();
  const processes = createProcesses();
  try {
    onStep('starting two registries and a control plane');
    const [registries, controlPlane] = await Promise.all([
      startRegistries(tools, processes),
      startControlPlane({ tools, processes }),
    ]);
    onStep('registering nodes');
    const names = Array.from({ length: nodes }, (_, index) => `node-${index + 1}`);
    const kubelet = await startTestKubelet({
      kube: controlPlane.kube,
      nodes: names.map((name) => ({ name })),
      nodeConfig: dockerConfigFor([registries.backup]),
    });
    return {
      tools,
      processes,
      controlPlane,
      kubelet,
      ...registries,
      connection: {
        tools,
        kube: controlPlane.connection,
        kubeconfigFile: controlPlane.kubeconfigFile,
        auditLogFile: controlPlane.auditLogFile,
        nodes: names,
        source: connectionTo(registries.source),
        backup: connectionTo(registries.backup),
        images: registries.images,
      },
      async stop() {
        await kubelet.stop();
        await controlPlane.stop();
        await processes.close();
      },
    };
  } catch (error) {
    await processes.close();
    throw error;
  }
}

interface Registries {
  readonly source: Registry;
  readonly backup: Registry;
  readonly images: Readonly<Record<SampleName, PushedImage>>;
}

async function startRegistries(tools: Tools, processes: Processes): Promise<Registries> {
  const [source, backup] = await Promise.all([
    startRegistry({ tools, processes, name: 'source-registry' }),
    startRegistry({ tools, processes, name: 'backup-registry', auth: true }),
  ]);
  return { source, backup, images: await seedSampleImages(source) };
}

function connectionTo({ host, url, credentials, logFile }: Registry): RegistryConnection {
  return { host, url, logFile, ...(credentials && { credentials }) };
}
