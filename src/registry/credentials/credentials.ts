import { z } from 'zod';

import type { Reference } from '../../images/reference.ts';

/**
 * What a registry, or its token service, wants to see. Never logged, never in an argument or the environment.
 */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** A refresh token (`identitytoken`), exchanged for access tokens. */
  | { readonly kind: 'identityToken'; readonly token: string };

/** A Docker `config.json`, as far as credentials go. */
export interface DockerConfig {
  /** By key as written: host, optionally with port, path and `*` in host labels. */
  readonly credentials: ReadonlyMap<string, Credential>;
  /** Helper program by key. */
  readonly helpers: ReadonlyMap<string, string>;
  /** Helper program for every registry without an entry of its own. */
  readonly store: string | undefined;
}

/** Where the credential for a reference is to be had: here, or from a helper program asked for `server`. */
export type CredentialPlace =
  | { readonly kind: 'here'; readonly credential: Credential }
  | { readonly kind: 'helper'; readonly helper: string; readonly server: string };

export const NO_CREDENTIALS: DockerConfig = { credentials: new Map(), helpers: new Map(), store: undefined };

/** What Docker Hub is called in config files, by the kubelet and by `docker login`. */
const DOCKER_HUB_ALIASES: ReadonlySet<string> = new Set([
  'docker.io',
  'index.docker.io',
  'registry-1.docker.io',
  'registry.hub.docker.com',
]);
const DOCKER_HUB_SERVER = 'https://index.docker.io/v1/';

const ENTRY = z.object({
  auth: z.string().nullish(),
  username: z.string().nullish(),
  password: z.string().nullish(),
  identitytoken: z.string().nullish(),
});
const CONFIG = z.object({
  auths: z.record(z.string(), ENTRY).nullish(),
  credHelpers: z.record(z.string(), z.string()).nullish(),
  credsStore: z.string().nullish(),
});

/**
 * Reads the text of a Docker `config.json`.
 *
 * @throws {Error} with a message that quotes nothing of the text.
 */
export function parseDockerConfig(text: string): DockerConfig {
  const parsed = CONFIG.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new Error('it is not of the form {"auths": {"<registry>": {"auth": "<base64 of user:password>"}}}');
  }
  const { auths, credHelpers, credsStore } = parsed.data;
  const credentials = new Map<string, Credential>();
  for (const [index, [key, entry]] of Object.entries(auths ?? {}).entries()) {
    const credential = parseEntry(entry, `entry ${index + 1} of "auths"`);
    if (credential) {
      credentials.set(key, credential);
    }
  }
  return { credentials, helpers: new Map(Object.entries(credHelpers ?? {})), store: credsStore || undefined };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The message of a SyntaxError quotes the text, and the text holds passwords.
    throw new Error('it is not valid JSON');
  }
}

function parseEntry(entry: z.infer<typeof ENTRY>, name: string): Credential | undefined {
  if (entry.identitytoken) {
    return { kind: 'identityToken', token: entry.identitytoken };
  }
  if (entry.username && entry.password) {
    return { kind: 'password', username: entry.username, password: entry.password };
  }
  if (!entry.auth) {
    return undefined;
  }
  // Some tools pad with NUL characters; a password may contain colons, a user name may not.
  const decoded = Buffer.from(entry.auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = decoded.indexOf(':');
  if (colon < 1) {
    throw new Error(`"auth" in ${name} is not the base64 of user:password`);
  }
  return { kind: 'password', username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

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
  const credential = findBest(config.credentials, reference);
  if (credential) {
    return { kind: 'here', credential };
  }
  return config.store ? { kind: 'helper', helper: config.store, server } : undefined;
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

/**
 * Texts by which a credential could be recognised; `hideSecrets` knows other spellings of them. In Base64, a short password is
 * found only together with its user.
 */
export function listSecrets(credential: Credential | undefined): readonly string[] {
  if (!credential) {
    return [];
  }
  return credential.kind === 'password' ? [credential.password, toBase64(credential)] : [credential.token];
}

/** As in `auth` of a config file, and in the header of Basic authentication. */
export function toBase64({ username, password }: Credential & { readonly kind: 'password' }): string {
  return Buffer.from(`${username}:${password}`).toString('base64');
}
