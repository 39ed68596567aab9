import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, inject } from 'vitest';
import type { ClusterConnection } from './cluster.ts';
import { createKube, type Kube } from './kube.ts';
import type { KubeConnection } from './kube-transport.ts';
import { createNamespace, deleteNamespace, waitForEmptied } from './namespaces.ts';
import { createProcesses, type Processes } from './processes.ts';

/** A cluster as one test file sees it: what its connection has, and what the file does with it. */
export type Connected<Connection> = Omit<Connection, 'kube'> & {
  readonly kube: Kube;
  readonly connection: KubeConnection;
  /** For programs and files of this test file: controllers, registries that are stopped and started. */
  readonly processes: Processes;
  /** A new namespace with a name of its own, deleted after the last test of the file. */
  createNamespace(prefix?: string): Promise<string>;
};

/** The cluster of this run. */
export type TestCluster = Connected<ClusterConnection>;

/** Call at the top of a test file or `describe`. */
export function connectToCluster(): TestCluster {
  return connectTo(findCluster());
}

/** Each worker has a cluster of its own: a controller sees all of it. */
export function findCluster(): ClusterConnection {
  const worker = Number(process.env['VITEST_POOL_ID']);
  const cluster = inject('clusters')[worker - 1];
  if (!cluster) {
    throw new Error(`no cluster for worker ${worker}`);
  }
  return cluster;
}

export function connectTo<Connection extends { readonly kube: KubeConnection }>({
  kube: connection,
  ...rest
}: Connection): Connected<Connection> {
  const kube = createKube(connection);
  const processes = createProcesses();
  const namespaces: string[] = [];
  // A controller of this file would look after what is left of the file before, and count its failures.
  beforeAll(() => waitForEmptied(kube));
  afterAll(async () => {
    await processes.close();
    await Promise.all(namespaces.map(async (name) => deleteNamespace(kube, name)));
    kube.close();
  });
  return {
    ...rest,
    kube,
    connection,
    processes,
    async createNamespace(prefix = 'test') {
      const name = `${prefix}-${randomBytes(4).toString('hex')}`;
      namespaces.push(name);
      await createNamespace(kube, name);
      return name;
    },
  };
}
