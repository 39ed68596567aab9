import type { TestProject } from 'vitest/node';
import { startCluster, type ClusterConnection } from './cluster.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    readonly clusters: readonly ClusterConnection[];
  }
}

/** One cluster for each worker, for vitest's `globalSetup`; tests reach theirs through `connectToCluster()`. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const workers = Array.from({ length: project.config.maxWorkers });
  const clusters = await Promise.all(workers.map(() => startCluster()));
  project.provide(
    'clusters',
    clusters.map(({ connection }) => connection),
  );
  return async () => {
    await Promise.all(clusters.map((cluster) => cluster.stop()));
  };
}
