/** Asks a registry for an image as containerd does, but downloads no layer. */
import { MEDIA_TYPES } from '../image-builder.ts';
import { fetchToken, parseBearer } from './bearer.ts';
import { isLoopback, parseImage, type ParsedImage } from './image-text.ts';

/** Something to show to a registry. */
export interface Credential {
  /** Value of an `Authorization` header. */
  readonly authorization: string;
  /** Unique id of the Secret that it is from; undefined for the node's own. */
  readonly secret: string | undefined;
}

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
  /** `repository@digest` of the manifest that the text names, or of the one of it that the node runs. */
  readonly imageID: string;
  /** Built for another CPU than the node's: its program does not start. */
  readonly isForeign?: boolean;
}

/** What a node is made of, as far as images are concerned. */
export interface Runtime {
  /** In the words of image manifests. */
  readonly architecture: string;
  /** What runs is reported by the manifest of the node's platform, as CRI-O may do, and not by the index that the text names. */
  readonly reportsPlatform: boolean;
  /** Starts what is built for another CPU as well: some samples are for amd64 on whatever machine. */
  readonly runsAll: boolean;
}

export interface Pull {
  readonly pulled: PulledImage;
  /** What the registry was shown; undefined: nothing. */
  readonly credential: Credential | undefined;
}

const ACCEPT = [
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.ociManifest,
  MEDIA_TYPES.dockerList,
  MEDIA_TYPES.dockerManifest,
].join(', ');
/** Of the nodes, unless a test wants others, in the words of image manifests. */
export const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch;

/**
 * Everything that a real pull would fetch has to be there: the manifest, the one for the node's platform, each of its blobs.
 * A single manifest is taken whatever platform it is for.
 * Each credential is tried, whatever became of the one before; without any, it is pulled as nobody.
 *
 * @throws {PullError}
 */
export async function pullImage(
  image: string,
  credentials: readonly Credential[],
  runtime: Runtime,
): Promise<Pull> {
  const parsed = parseImage(image);
  if (!parsed) {
    const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`;
    throw new PullError(message, 'InvalidImageName');
  }
  const messages = new Set<string>();
  for (const credential of credentials.length > 0 ? credentials : [undefined]) {
    try {
      return { pulled: await pullAs(parsed, credential, runtime), credential };
    } catch (error) {
      if (!(error instanceof PullError)) {
        throw error;
      }
      messages.add(error.message);
    }
  }
  const all = [...messages].join(', ');
  throw new PullError(messages.size > 1 ? `[${all}]` : all);
}

async function pullAs(
  parsed: ParsedImage,
  credential: Credential | undefined,
  runtime: Runtime,
): Promise<PulledImage> {
  const { text, quoted, host, repository } = parsed;
  if (!isLoopback(host)) {
    const registry = host === 'docker.io' ? 'registry-1.docker.io' : host;
    throw failure(
      quoted,
      `${headOf(`https://${registry}`, parsed)}dial tcp: lookup ${registry}: no such host`,
    );
  }
  const session = await resolve(parsed, credential?.authorization);
  const mine = await fetchMine(session, runtime);
  const architecture = await checkContent(session, mine);
  const digest = runtime.reportsPlatform ? mine.digest : session.digest;
  const isForeign = !runtime.runsAll && architecture !== runtime.architecture;
  return { image: text, imageID: `${host}/${repository}@${digest}`, ...(isForeign && { isForeign }) };
}

interface Session {
  readonly parsed: ParsedImage;
  /** Value of the header. */
  readonly authorization: string | undefined;
  readonly digest: string;
}

async function resolve(parsed: ParsedImage, basic: string | undefined): Promise<Session> {
  const head = async (authorization: string | undefined): Promise<Response> =>
    ask(parsed, { method: 'HEAD', path: `manifests/${parsed.name}`, authorization });
  const first = await head(basic);
  const bearer = first.status === 401 ? parseBearer(first.headers.get('www-authenticate')) : undefined;
  const authorization = bearer ? await authorize(parsed, bearer, basic) : basic;
  const answer = bearer ? await head(authorization) : first;
  if (answer.ok) {
    return { parsed, authorization, digest: answer.headers.get('docker-content-digest') ?? '' };
  }
  if (answer.status === 404) {
    throw failure(parsed.quoted, `failed to resolve image: ${parsed.quoted}: not found`, 'NotFound');
  }
  throw failure(parsed.quoted, `failed to resolve image: ${describeRefusal(answer, authorization)}`);
}

async function authorize(
  parsed: ParsedImage,
  bearer: URL,
  basic: string | undefined,
): Promise<string | undefined> {
  const answer = await fetchToken(bearer, basic);
  if ('token' in answer) {
    return `Bearer ${answer.token}`;
  }
  const kind = basic === undefined ? 'anonymous' : 'oauth';
  const what = `failed to authorize: failed to fetch ${kind} token: ${answer.problem}`;
  throw failure(parsed.quoted, `failed to resolve image: ${what}`);
}

/** Credentials that were shown and are wrong are an answer like any other; to show none, or too little, is not. */
function describeRefusal({ status, statusText, url }: Response, authorization: string | undefined): string {
  const denied = 'pull access denied, repository does not exist or may require authorization';
  if (status === 401 && authorization === undefined) {
    return `${denied}: authorization failed: no basic auth credentials`;
  }
  if (status === 401 && authorization?.startsWith('Bearer ')) {
    return `${denied}: server message: insufficient_scope: authorization failed`;
  }
  return `unexpected status from HEAD request to ${url}: ${status} ${statusText}`;
}

interface Manifest {
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform?: { readonly os: string; readonly architecture: string };
  }[];
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string }[];
}

interface MyManifest {
  readonly digest: string;
  readonly manifest: Manifest;
}

/** Returns the architecture that the image is built for. */
async function checkContent(session: Session, { manifest }: MyManifest): Promise<string | undefined> {
  const { config, layers = [] } = manifest;
  for (const digest of new Set(layers.map((layer) => layer.digest))) {
    await fetchContent(session, 'HEAD', `blobs/${digest}`);
  }
  const answer = config && (await fetchContent(session, 'GET', `blobs/${config.digest}`));
  return ((await answer?.json()) as { readonly architecture?: string } | undefined)?.architecture;
}

/** The manifest that the node runs: the one that the text names, or that of the node's platform in it. */
async function fetchMine(session: Session, { architecture }: Runtime): Promise<MyManifest> {
  const { digest } = session;
  const top = await fetchManifest(session, digest);
  if (!top.manifests) {
    return { digest, manifest: top };
  }
  const mine = top.manifests.find(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
  );
  if (!mine) {
    throw failure(session.parsed.quoted, 'no match for platform in manifest: not found', 'NotFound');
  }
  return { digest: mine.digest, manifest: await fetchManifest(session, mine.digest) };
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
    throw failure(parsed.quoted, what, 'NotFound');
  }
  return answer;
}

interface Question {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
}

async function ask(parsed: ParsedImage, { method, path, authorization }: Question): Promise<Response> {
  const { host, repository, quoted } = parsed;
  const headers = { accept: ACCEPT, 'user-agent': 'test-kubelet', ...(authorization && { authorization }) };
  try {
    return await fetch(`http://${host}/v2/${repository}/${path}`, { method, headers });
  } catch {
    throw failure(quoted, `${headOf(`http://${host}`, parsed)}dial tcp ${host}: connect: connection refused`);
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
