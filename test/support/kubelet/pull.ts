/** Asks a registry for an image as containerd does, but downloads no layer. */
import { MEDIA_TYPES } from '../image-builder.ts';
import { isLoopback, parseImage, type ParsedImage } from './image-text.ts';

/** Value of an `Authorization` header, or none. */
export type Authorization = string | undefined;

/** A pull that failed, in the words of the kubelet and containerd. */
export class PullError extends Error {
  override readonly name = 'PullError';
  /** Why the container is waiting. */
  readonly reason: 'ErrImagePull' | 'InvalidImageName' | 'ErrImageNeverPull';

  constructor(message: string, reason: PullError['reason'] = 'ErrImagePull') {
    super(message);
    this.reason = reason;
  }
}

export interface PulledImage {
  readonly image: string;
  /** `repository@digest` of the manifest that the text names. */
  readonly imageID: string;
}

const ACCEPT = [
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.ociManifest,
  MEDIA_TYPES.dockerList,
  MEDIA_TYPES.dockerManifest,
].join(', ');
/** Of the nodes, in the words of image manifests. */
export const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch;

/**
 * Everything that a real pull would fetch has to be there: the manifest, the one for this platform, each of its blobs.
 *
 * @throws {PullError}
 */
export async function pullImage(
  image: string,
  authorizations: readonly Authorization[],
): Promise<PulledImage> {
  const parsed = parseImage(image);
  if (!parsed) {
    const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`;
    throw new PullError(message, 'InvalidImageName');
  }
  const { text, host, repository } = parsed;
  if (!isLoopback(host)) {
    const registry = host === 'docker.io' ? 'registry-1.docker.io' : host;
    throw failure(text, `${headOf(`https://${registry}`, parsed)}dial tcp: lookup ${registry}: no such host`);
  }
  const session = await resolve(parsed, authorizations);
  await checkContent(session);
  return { image: text, imageID: `${host}/${repository}@${session.digest}` };
}

interface Session {
  readonly parsed: ParsedImage;
  readonly authorization: Authorization;
  readonly digest: string;
}

/** The first credentials that are accepted, longest match first; without any, as nobody. */
async function resolve(parsed: ParsedImage, authorizations: readonly Authorization[]): Promise<Session> {
  for (const authorization of authorizations) {
    const answer = await ask(parsed, { method: 'HEAD', path: `manifests/${parsed.name}`, authorization });
    if (answer.ok) {
      return { parsed, authorization, digest: answer.headers.get('docker-content-digest') ?? '' };
    }
    if (answer.status === 404) {
      throw failure(parsed.text, `failed to resolve image: ${parsed.text}: not found`, 'NotFound');
    }
    if (answer.status !== 401 && answer.status !== 403) {
      const what = `unexpected status from HEAD request to ${answer.url}: ${answer.status} ${answer.statusText}`;
      throw failure(parsed.text, `failed to resolve image: ${what}`);
    }
  }
  const hint = authorizations.every((authorization) => !authorization)
    ? 'no basic auth credentials'
    : 'denied';
  const denied = 'pull access denied, repository does not exist or may require authorization';
  throw failure(parsed.text, `failed to resolve image: ${denied}: authorization failed: ${hint}`);
}

interface Manifest {
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform?: { readonly os: string; readonly architecture: string };
  }[];
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string }[];
}

async function checkContent(session: Session): Promise<void> {
  const manifest = await platformManifest(session);
  const digests = [manifest.config, ...(manifest.layers ?? [])].flatMap((blob) =>
    blob ? [blob.digest] : [],
  );
  for (const digest of new Set(digests)) {
    await fetchContent(session, 'HEAD', `blobs/${digest}`);
  }
}

async function platformManifest(session: Session): Promise<Manifest> {
  const top = await fetchManifest(session, session.digest);
  if (!top.manifests) {
    return top;
  }
  const mine = top.manifests.find(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === ARCHITECTURE,
  );
  if (!mine) {
    throw failure(session.parsed.text, 'no match for platform in manifest: not found', 'NotFound');
  }
  return fetchManifest(session, mine.digest);
}

async function fetchManifest(session: Session, digest: string): Promise<Manifest> {
  return (await (await fetchContent(session, 'GET', `manifests/${digest}`)).json()) as Manifest;
}

async function fetchContent(
  { parsed, authorization }: Session,
  method: string,
  path: string,
): Promise<Response> {
  const answer = await ask(parsed, { method, path, authorization });
  if (!answer.ok) {
    const what = `failed to copy: httpReadSeeker: failed open: content at ${answer.url} not found: not found`;
    throw failure(parsed.text, what, 'NotFound');
  }
  return answer;
}

interface Question {
  readonly method: string;
  readonly path: string;
  readonly authorization: Authorization;
}

async function ask(parsed: ParsedImage, { method, path, authorization }: Question): Promise<Response> {
  const { host, repository, text } = parsed;
  const headers = { accept: ACCEPT, 'user-agent': 'test-kubelet', ...(authorization && { authorization }) };
  try {
    return await fetch(`http://${host}/v2/${repository}/${path}`, { method, headers });
  } catch {
    throw failure(text, `${headOf(`http://${host}`, parsed)}dial tcp ${host}: connect: connection refused`);
  }
}

function headOf(registry: string, { repository, name }: ParsedImage): string {
  const url = `${registry}/v2/${repository}/manifests/${name}`;
  return `failed to resolve image: failed to do request: Head "${url}": `;
}

/** The kubelet shows the code of an answer of containerd only when it is a known one. */
function failure(text: string, what: string, code?: 'NotFound'): PullError {
  const message = `failed to pull and unpack image "${text}": ${what}`;
  return new PullError(code ? `rpc error: code = ${code} desc = ${message}` : message);
}
