import { writeFile } from 'node:fs/promises';
import type { KubeConnection } from './kube-transport.ts';

/** A kubeconfig as kubectl reads it: JSON is YAML. Readable by nobody else, for the token is in it. */
export async function writeKubeconfig(
  file: string,
  connection: KubeConnection,
  namespace?: string,
): Promise<void> {
  const { server, ca, token } = connection;
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'test', cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', ...(namespace && { namespace }) } }],
    'current-context': 'test',
  };
  await writeFile(file, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}
