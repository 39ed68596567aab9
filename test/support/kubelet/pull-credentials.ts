import type { Kube } from '../kube.ts';
import type { AnyObject, Pod } from '../objects.ts';
import { parseImage } from './image-text.ts';
import type { Credential } from './pull.ts';

interface DockerConfig {
  readonly auths?: Readonly<Record<string, { auth?: string; username?: string; password?: string }>>;
}

type Entry = readonly [key: string, credential: Credential];

export interface CredentialSources {
  readonly kube: Kube;
  /** A Docker `config.json` on the node, for all pods; a real kubelet reads `/var/lib/kubelet/config.json`. */
  readonly nodeConfig: string;
}

/**
 * What to try for an image, most specific first, from the `imagePullSecrets` of the pod and from the node. Secrets that
 * are missing are passed over.
 */
export async function findCredentials(
  { kube, nodeConfig }: CredentialSources,
  pod: Pod,
  image: string,
): Promise<readonly Credential[]> {
  const { namespace = '' } = pod.metadata;
  const entries: Entry[] = [];
  for (const { name } of pod.spec.imagePullSecrets ?? []) {
    const secret = await kube.get({ apiVersion: 'v1', kind: 'Secret', namespace, name });
    entries.push(...entriesOf(dockerConfigIn(secret), secret?.metadata.uid));
  }
  entries.push(...entriesOf(nodeConfig, undefined));
  const parsed = parseImage(image);
  return entries
    .filter(([key]) => parsed && `${parsed.host}/${parsed.repository}/`.startsWith(`${key}/`))
    .toSorted(([a], [b]) => b.length - a.length)
    .map(([, credential]) => credential);
}

function dockerConfigIn(secret: AnyObject | undefined): string {
  const data = secret?.['data'] as Record<string, string> | undefined;
  return Buffer.from(data?.['.dockerconfigjson'] ?? '', 'base64').toString() || '{}';
}

function entriesOf(config: string, secret: string | undefined): readonly Entry[] {
  const { auths = {} } = JSON.parse(config) as DockerConfig;
  return Object.entries(auths).map(([key, { auth, username = '', password = '' }]) => {
    const basic = auth ?? Buffer.from(`${username}:${password}`).toString('base64');
    const place = key.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '');
    return [place, { authorization: `Basic ${basic}`, secret }];
  });
}
