import type { TestProject } from 'vitest/node';
import { startNodeCluster, type NodeClusterConnection } from './node-cluster.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    readonly nodeCluster: NodeClusterConnection;
  }
}

/** One node for the whole run, for vitest's `globalSetup`; tests reach it through `connectToNodeCluster()`. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startNodeCluster({ onFallback: warn });
  project.provide('nodeCluster', cluster.connection);
  return () => cluster.stop();
}

/** Not to be overlooked among the lines of a test run. */
function warn(text: string): void {
  const line = '='.repeat(80);
  process.stderr.write(`\n${line}\n${text}\n${line}\n\n`);
}
