import type { MapRow } from './image-map.ts';

/** A registry, and the place in the backup that mirrors all of it. */
export interface Mirror {
  /** `docker.io`. */
  readonly host: string;
  /** Host of the backup. */
  readonly backupHost: string;
  /** `backup/docker.io`: below it the repositories have the names they have at the source. */
  readonly path: string;
  /** The backup is spoken to in plain HTTP. */
  readonly isInsecure: boolean;
  /** The source is spoken to in plain HTTP. */
  readonly isSourceInsecure: boolean;
}

export interface Mirrors {
  readonly mirrors: readonly Mirror[];
  /** Sources that no mirror leads to, because their copies have flat names. */
  readonly flat: readonly string[];
}

/** Only below a nested name is every repository where a mirror looks for it. */
export function findMirrors(rows: readonly MapRow[], insecureRegistries: readonly string[]): Mirrors {
  const insecure = new Set(insecureRegistries.map((host) => host.toLowerCase()));
  const mirrors = new Map<string, Mirror>();
  const flat = new Set<string>();
  for (const { source, host, repository, copyRepository } of rows) {
    if (!copyRepository.endsWith(`/${repository}`)) {
      flat.add(source);
      continue;
    }
    const place = copyRepository.slice(0, -repository.length - 1);
    const [backupHost = '', ...path] = place.split('/');
    mirrors.set(host, {
      host,
      backupHost,
      path: path.join('/'),
      isInsecure: insecure.has(backupHost.toLowerCase()),
      isSourceInsecure: insecure.has(host.toLowerCase()),
    });
  }
  return { mirrors: [...mirrors.values()].toSorted((a, b) => (a.host < b.host ? -1 : 1)), flat: [...flat] };
}

/** Hosts and paths are of the grammar of images: nothing that would have to be escaped in TOML, but that is not relied on. */
function quoteToml(text: string): string {
  return JSON.stringify(text);
}

function toUrl(host: string, isInsecure: boolean): string {
  return `${isInsecure ? 'http' : 'https'}://${host}`;
}

/** A backup that is down must not hold up every pull for the 30 s that containerd would give it (containerd 2.1 and newer). */
const DIAL_TIMEOUT = '5s';

/** Where containerd itself goes for images of Docker Hub. */
function toServer({ host, isSourceInsecure }: Mirror): string {
  return toUrl(host === 'docker.io' ? 'registry-1.docker.io' : host, isSourceInsecure);
}

/** The file `hosts.toml` of one source host: the backup is asked first, the source when it has no answer. */
export function formatHostsToml(mirror: Mirror): string {
  const mirrored = `${toUrl(mirror.backupHost, mirror.isInsecure)}/v2/${mirror.path}`;
  return [
    `server = ${quoteToml(toServer(mirror))}`,
    '',
    `[host.${quoteToml(mirrored)}]`,
    '  capabilities = ["pull", "resolve"]',
    '  override_path = true',
    `  dial_timeout = ${quoteToml(DIAL_TIMEOUT)}`,
    '',
  ].join('\n');
}

/** Where containerd looks for it, below its `config_path`. */
export function hostsTomlPath({ host }: Mirror): string {
  return `${host}/hosts.toml`;
}

function formatRegistry(mirror: Mirror): string {
  return [
    '[[registry]]',
    `prefix = ${quoteToml(mirror.host)}`,
    `location = ${quoteToml(mirror.host)}`,
    ...(mirror.isSourceInsecure ? ['insecure = true'] : []),
    '',
    '[[registry.mirror]]',
    `location = ${quoteToml(`${mirror.backupHost}/${mirror.path}`)}`,
    ...(mirror.isInsecure ? ['insecure = true'] : []),
    '',
  ].join('\n');
}

/** A file for `/etc/containers/registries.conf.d/`, of CRI-O and Podman. */
export function formatRegistriesConf(mirrors: readonly Mirror[]): string {
  return mirrors.map(formatRegistry).join('\n');
}
