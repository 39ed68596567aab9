import type { AnyObject } from './objects.ts';
import type { RegistryConnection } from './registry.ts';
import type { Credentials } from './registry-accounts.ts';

/** Content of a Docker `config.json` with the credentials of some registries; those that want none are left out. */
export function dockerConfigFor(registries: readonly RegistryConnection[]): string {
  const auths = registries.flatMap(({ host, credentials }) =>
    credentials ? [[host, { auth: basicAuth(credentials) }] as const] : [],
  );
  return JSON.stringify({ auths: Object.fromEntries(auths) });
}

/** A Secret for `imagePullSecrets`. */
export function aPullSecret(
  { namespace, name }: { readonly namespace: string; readonly name: string },
  registry: RegistryConnection,
): AnyObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': dockerConfigFor([registry]) },
  };
}

/** What follows `Basic ` in an `Authorization` header. */
export function basicAuth({ user, password }: Credentials): string {
  return Buffer.from(`${user}:${password}`).toString('base64');
}
