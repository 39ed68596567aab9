import type { ClusterConnection } from '../support/cluster.ts';
import type { Workload } from '../support/objects.ts';
import { aDaemonSet, aDeployment } from '../support/workload-builders.ts';

/** Of the namespaces that `config/default/` excludes, one that this cluster does not have yet. */
export const EXCLUDED_NAMESPACE = 'local-path-storage';
/** The Deployment that is scaled up once the source registry is dead. */
export const SCALED = 'web';

/** What a small company runs: several namespaces, several shapes of image, one namespace that is to be left alone. */
export function createWorkloads({ images }: Pick<ClusterConnection, 'images'>): readonly Workload[] {
  const { multiPlatform, dockerList, singleManifest, large } = images;
  return [
    aDeployment({ namespace: 'shop', name: SCALED, images: [multiPlatform.reference], replicas: 2 }),
    aDeployment({
      namespace: 'shop',
      name: 'orders',
      images: [multiPlatform.reference, dockerList.reference],
      initImages: [singleManifest.reference],
    }),
    aDeployment({ namespace: 'analytics', name: 'warehouse', images: [large.reference] }),
    aDaemonSet({ namespace: 'monitoring', name: 'agent', images: [dockerList.reference] }),
    aDeployment({ namespace: EXCLUDED_NAMESPACE, name: 'provisioner', images: [singleManifest.reference] }),
  ];
}
