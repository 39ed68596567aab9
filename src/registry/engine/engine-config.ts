import { formatReference, type Reference } from '../../images/reference.ts';
import type { CopyJob } from '../../reconcile/ports.ts';
import type { Credential } from '../credentials/credentials.ts';
import { toApiOrigin } from '../registry-address.ts';

export interface EngineInput {
  /** JSON for the engine's configuration file; holds secrets. */
  readonly config: string;
  /** Source and destination as arguments; hold none. */
  readonly references: readonly [source: string, copy: string];
}

/** How registries are to be spoken to. */
export interface RegistryManners {
  /** Hosts, with their port, that are spoken to in plain http. */
  readonly insecureRegistries: readonly string[];
  /**
   * True for those that refuse HEAD: the engine would repeat each for a minute. By host and port of the registry API.
   */
  readonly refusesHead: (host: string) => boolean;
}

const SOURCE_ALIAS = 'source.internal';
const BACKUP_ALIAS = 'backup.internal';

/**
 * Configuration and arguments for one copy, with the two entries it needs and no more. Registries keep their
 * names, so that a layer which the registry has in another repository is mounted instead of uploaded; only
 * when both sides are one registry with two credentials they get aliases, for the engine keeps one credential
 * per name.
 */
export function createEngineInput(
  { source, copy }: CopyJob,
  credentials: { readonly source: Credential | undefined; readonly copy: Credential | undefined },
  { insecureRegistries, refusesHead }: RegistryManners,
): EngineInput {
  const isShared = toApiOrigin(source.host, []).host === toApiOrigin(copy.host, []).host;
  const needsAliases = isShared && JSON.stringify(credentials.source) !== JSON.stringify(credentials.copy);
  const names = needsAliases
    ? { source: SOURCE_ALIAS, copy: BACKUP_ALIAS }
    : { source: source.host, copy: copy.host };
  const createHost = (host: string, credential: Credential | undefined): object => {
    const origin = toApiOrigin(host, insecureRegistries);
    return {
      hostname: origin.host,
      tls: origin.protocol === 'http:' ? 'disabled' : 'enabled',
      ...(refusesHead(origin.host) && { apiOpts: { disableHead: 'true' } }),
      ...toLogin(credential),
    };
  };
  const config = {
    version: 1,
    incDockerCred: false,
    incDockerCert: false,
    hosts: {
      [names.source]: createHost(source.host, credentials.source),
      [names.copy]: createHost(copy.host, credentials.copy),
    },
  };
  return {
    config: JSON.stringify(config),
    references: [
      formatReference({ ...source, host: names.source }),
      formatReference({ ...withoutDigest(copy), host: names.copy }),
    ],
  };
}

function toLogin(credential: Credential | undefined): object {
  if (!credential) {
    return {};
  }
  return credential.kind === 'password'
    ? { user: credential.username, pass: credential.password }
    : { token: credential.token };
}

/** The engine is told a tag to write; it would take a digest for the name of what it writes. */
function withoutDigest({ host, repository, tag = 'latest' }: Reference): Reference {
  return { host, repository, tag };
}
