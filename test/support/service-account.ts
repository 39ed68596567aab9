import type { Kube } from './kube.ts';
import type { KubeConnection } from './kube-transport.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import type { AnyObject } from './objects.ts';

export interface ServiceAccountReference {
  readonly namespace: string;
  readonly name: string;
}

/** For acting as a ServiceAccount that exists, with what RBAC grants it and no more. The token lasts for hours. */
export async function connectAsServiceAccount(
  admin: { readonly kube: Kube; readonly connection: KubeConnection },
  { namespace, name }: ServiceAccountReference,
): Promise<KubeConnection> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
  const { status } = await admin.kube.request<AnyObject & { status: { token: string } }>({
    method: 'POST',
    path,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: 12 * 60 * 60 },
    },
  });
  return { ...admin.connection, token: status.token };
}

/** The same as a kubeconfig file, whose default namespace is the ServiceAccount's. */
export async function writeServiceAccountKubeconfig(
  admin: { readonly kube: Kube; readonly connection: KubeConnection },
  { file, ...serviceAccount }: ServiceAccountReference & { readonly file: string },
): Promise<void> {
  await writeKubeconfig(file, await connectAsServiceAccount(admin, serviceAccount), serviceAccount.namespace);
}
