import { existsSync } from 'node:fs';
import type { Agent, OutgoingHttpHeaders } from 'node:http';
import type { RequestOptions } from 'node:https';
import { dirname, resolve } from 'node:path';

import type { KubeConfig } from '@kubernetes/client-node';

import { UsageError } from '../../errors.ts';
import { readSmallFileSync } from '../../small-file.ts';
import { asArray, asObject, asText } from '../decode/json.ts';
import type { Credentials, Target, TlsIdentity } from './target.ts';

/**
 * Reads and merges kubeconfig files. The client library costs most of a second and 80 MB, so it is only
 * loaded here, never in a cluster.
 */
async function loadKubeConfig(paths: readonly string[]): Promise<KubeConfig> {
  const { KubeConfig: Loader, loadYaml } = await import('@kubernetes/client-node');
  let merged: KubeConfig | undefined;
  for (const path of paths) {
    const config = new Loader();
    try {
      const text = readSmallFileSync(path);
      config.loadFromString(text);
      config.makePathsAbsolute(dirname(path));
      readTokenFiles(config, { path, document: loadYaml(text) });
    } catch (cause) {
      // The parser quotes the text around its complaint, and that may be a key: only the kind of failure is told.
      const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
      throw new UsageError(`kubeconfig ${path} cannot be read${code}: give another with --kubeconfig`);
    }
    if (merged) {
      merged.mergeConfig(config, true);
    } else {
      merged = config;
    }
  }
  if (!merged) {
    throw new UsageError('no kubeconfig given');
  }
  return allowPlainHttp(merged);
}

/** The library knows them as `token-file`, while kubectl and everybody else writes `tokenFile`. */
function readTokenFiles(
  config: KubeConfig,
  { path, document }: { readonly path: string; readonly document: unknown },
): void {
  const files = new Map(
    asArray(asObject(document)['users']).map((entry) => {
      const { name, user } = asObject(entry);
      return [name, asText(asObject(user)['tokenFile'])];
    }),
  );
  config.users = config.users.map((user) => {
    const file = files.get(user.name);
    return file ? { ...user, token: readSmallFileSync(resolve(dirname(path), file)).trim() } : user;
  });
}

/** The library refuses `http:` servers (`kubectl proxy`) unless told that TLS does not matter there. */
function allowPlainHttp(config: KubeConfig): KubeConfig {
  config.clusters = config.clusters.map((cluster) =>
    cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster,
  );
  return config;
}

function toHeaders(headers: OutgoingHttpHeaders | readonly string[] | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]),
  );
}

function toTls(options: RequestOptions): TlsIdentity {
  const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = options;
  return {
    ca: ca as TlsIdentity['ca'],
    cert: cert as TlsIdentity['cert'],
    key: key as TlsIdentity['key'],
    pfx: pfx as TlsIdentity['pfx'],
    passphrase,
    servername,
    rejectUnauthorized,
  };
}

async function credentialsOf(config: KubeConfig): Promise<Credentials & { readonly agent: Agent }> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  return {
    headers: toHeaders(options.headers),
    basicAuth: options.auth ?? undefined,
    tls: toTls(options),
    agent: options.agent as Agent,
  };
}

/**
 * The cluster of the current context, with every way to authenticate that the client library knows.
 *
 * @throws {UsageError} when the files or the current context are of no use.
 */
export async function createKubeConfigTarget(paths: readonly string[]): Promise<Target> {
  const present = paths.filter((path) => existsSync(path));
  let config = await loadKubeConfig(present.length > 0 ? present : paths.slice(0, 1));
  const cluster = config.getCurrentCluster();
  if (!cluster || !URL.canParse(cluster.server)) {
    throw new UsageError(
      `kubeconfig ${paths.join(', ')} has no usable current context: set one with \`kubectl config use-context\``,
    );
  }
  const proxyAgent = cluster.proxyUrl ? (await credentialsOf(config)).agent : undefined;
  return {
    server: new URL(cluster.server),
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    proxyAgent,
    async readCredentials({ renew }) {
      if (renew) {
        // Plugins and token files are cached inside, without a way to drop what was refused.
        config = await loadKubeConfig(present);
      }
      return credentialsOf(config);
    },
  };
}
