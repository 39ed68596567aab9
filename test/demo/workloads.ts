import type { NodeImages } from '../support/node/node-images.ts';
import { withProbe } from '../support/node/serving.ts';
import type { Workload } from '../support/objects.ts';
import { aDaemonSet, aDeployment } from '../support/workload-builders.ts';

/** Of the namespaces that `config/default/` excludes, one that this cluster does not have yet. */
export const EXCLUDED_NAMESPACE = 'local-path-storage';
/** The Deployment that is scaled up once the source registry is dead. */
export const SCALED = 'web';

/** What a small company runs: several namespaces, several shapes of image, one namespace that is to be left alone. */
export function createWorkloads({ web, dockerWeb, single, sidecar, init }: NodeImages): readonly Workload[] {
  return [
    aDeployment({ namespace: 'shop', name: SCALED, images: [web.reference], replicas: 2 }),
    aDeployment({
      namespace: 'shop',
      name: 'orders',
      images: [web.reference, sidecar.reference],
      initImages: [init.reference],
    }),
    aDeployment({ namespace: 'analytics', name: 'warehouse', images: [single.reference] }),
    aDaemonSet({ namespace: 'monitoring', name: 'agent', images: [dockerWeb.reference] }),
    aDeployment({ namespace: EXCLUDED_NAMESPACE, name: 'provisioner', images: [single.reference] }),
  ].map(withProbe);
}
