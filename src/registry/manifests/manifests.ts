import { RegistryError, type RegistryFailure } from '../../errors.ts';
import { formatReference } from '../../images/reference.ts';
import type { RegistryDeps } from './access.ts';
import { type Authorizer, createAuthorizer } from './authorizer.ts';
import { readBackupRefusal } from './backup-refusal.ts';
import { listSecrets } from '../credentials/credentials.ts';
import { type ApiRepository, createHeadFetcher, type HeadListeners } from './manifest-head.ts';
import type { HttpAnswer } from './http-client.ts';
import type { ImageAccess, ManifestHead, PinnedAccess } from './image-access.ts';
import { checkDigest, hashManifest, isUnknownName, readMediaType } from './manifest-answer.ts';
import { type Allowance, parseAllowance } from '../limits/host-allowances.ts';
import { sendRegistryRequest, type Manifest, type RegistryRequest } from './registry-request.ts';
import { hideSecrets, LONGEST_QUOTED } from '../../plain-text.ts';
import { toApiOrigin } from '../registry-address.ts';
import { createAnswerError, type FailedAnswer } from '../registry-failure.ts';

/** Manifests of registries, by the distribution API. All methods throw {@link RegistryError}. */
export interface ManifestClient {
  /**
   * One HEAD once the registry is known, or one GET where it answers HEAD wrongly; undefined when it has no such manifest.
   */
  fetchHead(image: ImageAccess): Promise<ManifestHead | undefined>;
  /** The digest of that alone. */
  fetchDigest(image: ImageAccess): Promise<string | undefined>;
  /** With what status HEAD is answered there, and GET otherwise; undefined when that was not seen. */
  findWrongHeadStatus(repository: ApiRepository): number | undefined;
  /** The bytes that the digest of the reference stands for, checked; undefined when it has no such manifest. */
  fetchManifest(image: PinnedAccess): Promise<Manifest | undefined>;
  /** Writes a manifest, whose parts the repository has, under the tag of the reference. */
  pushManifest(image: ImageAccess, manifest: Manifest): Promise<void>;
}

export interface ManifestClientOptions extends HeadListeners {
  /** Told what a source still allows, by host and port of its API. */
  readonly onAllowance?: (host: string, allowance: Allowance) => void;
  /** Told of a source that has a manifest, and says nothing of what it allows. */
  readonly onUncounted?: (host: string) => void;
  /** That others use as well; its own by default. */
  readonly authorizer?: Authorizer;
}

export function createManifestClient(
  deps: RegistryDeps,
  options: ManifestClientOptions = {},
): ManifestClient {
  const { ask, fail } = createAsker(deps, options);

  async function fetchBody(request: RegistryRequest, image: ImageAccess): Promise<HttpAnswer | undefined> {
    const answer = await ask({ ...request, method: 'GET' }, image);
    if (answer.status === 404 || (image.side === 'source' && isUnknownName(answer))) {
      return undefined;
    }
    if (answer.status !== 200) {
      throw fail({ ...request, method: 'GET' }, answer);
    }
    return answer;
  }

  const heads = createHeadFetcher({ ask, fail, fetchBody, clock: deps.clock }, options);

  return {
    fetchHead: (image) => heads.fetchHead(createRequest('HEAD', image), image),
    fetchDigest: async (image) => (await heads.fetchHead(createRequest('HEAD', image), image))?.digest,
    findWrongHeadStatus: (repository) => heads.findWrongStatus(repository),

    async fetchManifest(image) {
      const { mostBytes } = image;
      const request = { ...createRequest('GET', image), ...(mostBytes !== undefined && { mostBytes }) };
      const answer = await fetchBody(request, image);
      if (!answer) {
        return undefined;
      }
      checkDigest(hashManifest(answer, image, request), image, request);
      return { mediaType: readMediaType(answer), body: answer.body };
    },

    async pushManifest(image, manifest) {
      const request = { ...createRequest('PUT', image), manifest };
      const answer = await ask(request, image);
      if (answer.status < 200 || answer.status > 299) {
        throw fail(request, answer);
      }
    },
  };
}

interface Asker {
  readonly ask: (request: RegistryRequest, image: ImageAccess) => Promise<HttpAnswer>;
  readonly fail: (request: RegistryRequest, answer: HttpAnswer) => RegistryError;
}

function createAsker(deps: RegistryDeps, options: ManifestClientOptions): Asker {
  const { onAllowance, onUncounted, authorizer = createAuthorizer(deps) } = options;
  const fail = (request: RegistryRequest, answer: HttpAnswer): RegistryError =>
    createAnswerError(describeAnswer(request, answer), deps.clock.nowMs());

  function noteAllowance({ url }: RegistryRequest, { status, headers }: HttpAnswer): void {
    const allowance = parseAllowance((name) => [headers[name]].flat()[0]);
    if (allowance) {
      onAllowance?.(url.host, allowance);
    } else if (status === 200) {
      onUncounted?.(url.host);
    }
  }

  async function ask(request: RegistryRequest, image: ImageAccess): Promise<HttpAnswer> {
    const answer = await sendRegistryRequest(request, deps, authorizer);
    if (image.side === 'source' && !image.isProbe) {
      noteAllowance(request, answer);
    }
    return answer;
  }

  return { ask, fail };
}

/** For those who cannot do without a manifest. */
export function createNotFoundError({ reference, side }: ImageAccess): RegistryError {
  const message = `${side} registry ${reference.host} does not have ${formatReference(reference)}`;
  return new RegistryError(message, { reason: 'NotFound', side });
}

function createRequest(method: RegistryRequest['method'], image: ImageAccess): RegistryRequest {
  const { reference, side, credential, insecureRegistries, signal } = image;
  const origin = toApiOrigin(reference.host, insecureRegistries);
  const { repository } = reference;
  const name = method === 'PUT' ? reference.tag : (reference.digest ?? reference.tag);
  const url = new URL(`/v2/${repository}/manifests/${name ?? 'latest'}`, origin);
  const doing = `${method === 'PUT' ? 'tagging' : 'looking up'} ${formatReference(reference)}`;
  const actions = method === 'PUT' ? 'pull,push' : 'pull';
  const shown = new Set(listSecrets(credential));
  return { method, url, access: { origin, repository, actions, credential, side, doing, signal, shown } };
}

/** Harbor answers so for images that a policy of the project keeps back: vulnerable, or not signed. */
const KEPT_BACK = 412;
const KEPT_BACK_HINT =
  '; a policy of that registry keeps the image back (in Harbor: vulnerable, or not signed)';

/** The backup may make the repository when it is pushed to. */
function readUnknownName(answer: HttpAnswer): RegistryFailure | undefined {
  return isUnknownName(answer) ? 'NotFound' : undefined;
}

function describeAnswer(request: RegistryRequest, answer: HttpAnswer): FailedAnswer {
  const { access, method, url } = request;
  const body = hideSecrets(answer.body.toString('utf8', 0, LONGEST_QUOTED), [...access.shown]);
  const isKeptBack = method !== 'PUT' && answer.status === KEPT_BACK;
  const refusal = method === 'PUT' ? readBackupRefusal(answer.status, body) : readUnknownName(answer);
  return {
    doing: access.doing,
    side: access.side,
    host: url.host,
    status: answer.status,
    operation: `${method} manifest`,
    retryAfter: answer.headers['retry-after'],
    body,
    ...(refusal && { reason: refusal }),
    ...(isKeptBack && { reason: 'Unsupported' as const, hint: KEPT_BACK_HINT }),
  };
}
