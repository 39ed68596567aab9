import type { Reference } from '../../images/reference.ts';
import type { Credential } from './credentials.ts';
import type { DockerConfig } from './docker-config.ts';

/** Where the credential for a reference is to be had: here, or from a helper program asked for `server`. */
export type CredentialPlace =
  | { readonly kind: 'here'; readonly credential: Credential }
  | { readonly kind: 'helper'; readonly helper: string; readonly server: string };

/** What Docker Hub is called in config files, by the kubelet and by `docker login`. */
const DOCKER_HUB_ALIASES: ReadonlySet<string> = new Set([
  'docker.io',
  'index.docker.io',
  'registry-1.docker.io',
  'registry.hub.docker.com',
]);
const DOCKER_HUB_SERVER = 'https://index.docker.io/v1/';

/**
 * Finds the credential for a reference as the kubelet does: the most specific matching key wins, an exact
 * host over a glob, then the longest path. Unlike the kubelet's, a path ends at a slash: `b.io/team` does not
 * match `b.io/team-evil/x`. A helper named for the registry goes first, the general store last.
 */
export function findCredential(
  config: DockerConfig,
  reference: Pick<Reference, 'host' | 'repository'>,
): CredentialPlace | undefined {
  const server = isDockerHub(reference.host) ? DOCKER_HUB_SERVER : reference.host;
  const helper = findBest(config.helpers, reference);
  if (helper) {
    return { kind: 'helper', helper, server };
  }
  const credential = findWritten(config, reference);
  if (credential) {
    return { kind: 'here', credential };
  }
  return config.store === undefined ? undefined : { kind: 'helper', helper: config.store, server };
}

/** The credential that the file itself has. */
export function findWritten(
  { credentials }: DockerConfig,
  reference: Pick<Reference, 'host' | 'repository'>,
): Credential | undefined {
  return findBest(credentials, reference);
}

/** Why nothing in the file is for a reference although something is meant to be; undefined when nothing is. */
export function findProblem(
  { unusable }: DockerConfig,
  reference: Pick<Reference, 'host' | 'repository'>,
): string | undefined {
  return unusable.find(({ key }) => key === undefined || scoreMatch(key, reference))?.problem;
}

function findBest<Value>(
  entries: ReadonlyMap<string, Value>,
  reference: Pick<Reference, 'host' | 'repository'>,
): Value | undefined {
  let best: { readonly score: readonly number[]; readonly value: Value } | undefined;
  for (const [key, value] of entries) {
    const score = scoreMatch(key, reference);
    if (score && (!best || isHigher(score, best.score))) {
      best = { score, value };
    }
  }
  return best?.value;
}

/** How specific a matching key is, most important number first; undefined when it does not match. */
function scoreMatch(
  key: string,
  { host, repository }: Pick<Reference, 'host' | 'repository'>,
): readonly number[] | undefined {
  const { host: keyHost, path } = splitKey(key);
  if (path !== '' && repository !== path && !repository.startsWith(`${path}/`)) {
    return undefined;
  }
  if (keyHost === host.toLowerCase() || (isDockerHub(keyHost) && isDockerHub(host))) {
    return [1, path.length, keyHost.length];
  }
  return matchesGlob(keyHost, host.toLowerCase()) ? [0, path.length, keyHost.length] : undefined;
}

function isHigher(left: readonly number[], right: readonly number[]): boolean {
  const index = left.findIndex((number, position) => number !== right[position]);
  return index !== -1 && (left[index] ?? 0) > (right[index] ?? 0);
}

/** Without scheme, API version and trailing slash: `https://index.docker.io/v1/` is `index.docker.io`. */
function splitKey(key: string): { readonly host: string; readonly path: string } {
  const [host = '', ...rest] = key.replace(/^https?:\/\//i, '').split('/');
  if (/^v[12]$/.test(rest[0] ?? '')) {
    rest.shift();
  }
  return { host: host.toLowerCase(), path: rest.join('/').replace(/\/+$/, '') };
}

function isDockerHub(host: string): boolean {
  return DOCKER_HUB_ALIASES.has(host.toLowerCase());
}

/** `*` stands for any characters within one label; ports must be equal. */
function matchesGlob(glob: string, host: string): boolean {
  if (!glob.includes('*')) {
    return false;
  }
  const pattern = glob.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll('*', '[^.:]*');
  return new RegExp(`^${pattern}$`).test(host);
}
