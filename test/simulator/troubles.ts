import type { ClusterModel } from './cluster-model.ts';

/** What makes copies useless on all nodes. */
export const TROUBLES = [
  'the nodes cannot pull a copy',
  'a policy takes copies from a mirror that has none',
  'copies do not get ready',
  'copies crash',
] as const;
export type Trouble = (typeof TROUBLES)[number];

/** From now on. */
export function cause(cluster: ClusterModel, trouble: Trouble): void {
  const { nodes } = cluster;
  switch (trouble) {
    case 'the nodes cannot pull a copy':
      nodes.hasBackupAccess = false;
      return;
    case 'a policy takes copies from a mirror that has none':
      cluster.policy = 'backup from an empty mirror';
      return;
    case 'copies crash':
    case 'copies do not get ready':
      for (const node of nodes.all) {
        node.quirk = trouble;
      }
  }
}
