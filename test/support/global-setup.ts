import type { TestProject } from 'vitest/node';
import { startCluster, type ClusterConnection } from './cluster.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    readonly cluster: ClusterConnection;
  }
}

/** One cluster for the whole run, for vitest's `globalSetup`; tests reach it through `connectToCluster()`. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startCluster();
  project.provide('cluster', cluster.connection);
  return () => cluster.stop();
}
