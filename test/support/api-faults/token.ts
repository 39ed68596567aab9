import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';

import type { InstallDeps } from '../controller.ts';
import { createKube } from '../kube.ts';
import type { KubeConnection } from '../kube-transport.ts';
import { KubeError } from '../kube-error.ts';
import type { AnyObject } from '../objects.ts';
import { waitFor } from '../wait-for.ts';

const NAMESPACE = 'backup-image-registry';
const SERVICE_ACCOUNT = 'backup-image-registry-sa';

/** A kubeconfig that leaves the token to a file, as in-cluster configurations do. */
export async function writeTokenFileKubeconfig(
  file: string,
  { server, ca, token }: KubeConnection,
  tokenFile: string,
): Promise<void> {
  await writeFile(tokenFile, token, { mode: 0o600 });
  const authority = Buffer.from(ca).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': authority } }],
    users: [{ name: 'test', user: { tokenFile } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
}

/** A token of the controller's ServiceAccount that is good for as long as a certain Secret exists. */
export async function createTokenThatCanEnd(
  deps: InstallDeps,
): Promise<{ readonly token: string; end(): Promise<void> }> {
  const name = `token-${randomBytes(4).toString('hex')}`;
  const secret = { apiVersion: 'v1', kind: 'Secret', namespace: NAMESPACE, name };
  const { apiVersion, kind, namespace } = secret;
  const { metadata } = await deps.kube.create<AnyObject>({
    apiVersion,
    kind,
    metadata: { namespace, name },
  });
  const { status } = await deps.kube.request<{ status: { token: string } }>({
    method: 'POST',
    path: `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${SERVICE_ACCOUNT}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { boundObjectRef: { apiVersion, kind, name, uid: metadata.uid } },
    },
  });
  return {
    token: status.token,
    async end() {
      await deps.kube.delete(secret);
      const kube = createKube({ ...deps.connection, token: status.token });
      // The API server remembers for some seconds that it was good.
      await waitFor(() => isRefused(() => kube.list({ apiVersion: 'apps/v1', kind: 'Deployment' })), {
        what: 'the token to be refused',
      });
      kube.close();
    },
  };
}

async function isRefused(request: () => Promise<unknown>): Promise<boolean> {
  try {
    await request();
    return false;
  } catch (error) {
    return error instanceof KubeError && error.status === 401;
  }
}
