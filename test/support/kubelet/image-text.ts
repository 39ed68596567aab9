/** An image as a container runtime understands its text. Knows what tests use, not the whole grammar. */
export interface ParsedImage {
  readonly host: string;
  readonly repository: string;
  /** What the registry is asked for: the digest if there is one, otherwise the tag. */
  readonly name: string;
  /** Spelled out: `docker.io/library/nginx:latest`. */
  readonly text: string;
  /** As containerd quotes it when a pull fails: with a digest, without the tag. */
  readonly quoted: string;
}

const IMAGE =
  /^(?<path>[a-zA-Z0-9[][a-zA-Z0-9._:/[\]-]*?)(?::(?<tag>\w[\w.-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$/;
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_{1,2}|-+|\/)[a-z0-9]+)*$/;

/** Undefined when it is no image name. */
export function parseImage(image: string): ParsedImage | undefined {
  const { path = '', tag, digest } = IMAGE.exec(image)?.groups ?? {};
  const { host, repository } = splitPath(path);
  if (!REPOSITORY.test(repository)) {
    return undefined;
  }
  const version = digest ? { tag, digest } : { tag: tag ?? 'latest' };
  return { host, repository, ...describeVersion(`${host}/${repository}`, version) };
}

interface Version {
  readonly tag?: string | undefined;
  readonly digest?: string;
}

function describeVersion(
  path: string,
  { tag = '', digest }: Version,
): Pick<ParsedImage, 'name' | 'text' | 'quoted'> {
  const text = tag ? `${path}:${tag}` : path;
  return digest
    ? { name: digest, text: `${text}@${digest}`, quoted: `${path}@${digest}` }
    : { name: tag, text, quoted: text };
}

function splitPath(path: string): { host: string; repository: string } {
  const slash = path.indexOf('/');
  const first = path.slice(0, Math.max(slash, 0));
  if (/[.:]/.test(first) || first === 'localhost') {
    return { host: first, repository: path.slice(slash + 1) };
  }
  return { host: 'docker.io', repository: slash === -1 ? `library/${path}` : path };
}

export function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?$/.test(host);
}
