import { inject } from 'vitest';
import type { Workload } from '../objects.ts';
import type { RegistryConnection } from '../registry.ts';
import { listLivingPods } from '../rollout.ts';
import { connectTo, type Connected } from '../test-cluster.ts';
import { allowRegistry } from './real-node.ts';
import { askPod, type Answer } from './serving.ts';
import { emptyImageCache, type NodeClusterConnection } from './node-cluster.ts';

export interface NodeTestCluster extends Connected<NodeClusterConnection> {
  /** Empties the image cache of the node: the next start of a container asks the registry. */
  emptyImageCache(): Promise<void>;
  /** What each living pod of a workload answers; with the test kubelet, where nobody can, nothing. */
  askPods(workload: Workload, port?: number): Promise<readonly Answer[]>;
  /** From now on the node can pull from this registry, if that wants no credentials. */
  allowRegistry(registry: RegistryConnection): Promise<void>;
}

/** The cluster with the real node, as one test file sees it. Call at the top of a test file. */
export function connectToNodeCluster(): NodeTestCluster {
  const cluster = connectTo(inject('nodeCluster'));
  const { kube, node } = cluster;
  return {
    ...cluster,
    emptyImageCache: async () => emptyImageCache(kube, node),
    askPods: async (workload, port) => {
      const pods = node ? await listLivingPods(kube, workload) : [];
      return Promise.all(pods.map(async (pod) => askPod(pod, port)));
    },
    allowRegistry: async (registry) => (node ? allowRegistry(node, registry) : undefined),
  };
}
