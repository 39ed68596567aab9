import { listSecrets } from '../credentials/credentials.ts';
import { hideSecrets, LONGEST_QUOTED } from '../../plain-text.ts';
import { formatReference } from '../../images/reference.ts';
import { toApiOrigin } from '../registry-address.ts';
import { createAnswerError } from '../registry-failure.ts';
import type { Access, RegistryDeps } from './access.ts';
import type { Authorizer } from './authorizer.ts';
import type { HttpAnswer } from './http-client.ts';
import type { ImageAccess } from './image-access.ts';
import { type RegistryRequest, sendRegistryRequest } from './registry-request.ts';

/** A layer of another repository of the same registry. */
export interface MountedLayer {
  readonly digest: string;
  readonly from: string;
}

/**
 * What a registry makes of a mount. `unmounted`: it waits for an upload instead, because it does not mount, or does not have
 * the layer there; that upload has been ended. `missing`: it does not have it there. `refused`: anything else.
 */
export type MountResult = 'mounted' | 'unmounted' | 'missing' | 'refused';

/** Layers of registries, by the distribution API. */
export interface LayerClient {
  /**
   * Whether the registry offers a layer in the repository of the image. One HEAD.
   *
   * @throws {RegistryError} when it gives no answer, or another one than that.
   */
  hasLayer(image: ImageAccess, digest: string): Promise<boolean>;
  /**
   * Asks the registry to take a layer into the repository of the image from another one.
   *
   * @throws {RegistryError} when it gives no answer, or asks to be left alone.
   */
  mountLayer(image: ImageAccess, layer: MountedLayer): Promise<MountResult>;
  /**
   * Begins an upload into the repository of the image, and ends it.
   *
   * @throws {RegistryError} when the registry does not take one.
   */
  tryUpload(image: ImageAccess): Promise<void>;
}

/** Nobody waits for long for what is only tidy. */
const END_UPLOAD_TIMEOUT_MS = 5_000;

const RESULTS: ReadonlyMap<number, MountResult> = new Map([
  [201, 'mounted'],
  [202, 'unmounted'],
  [404, 'missing'],
]);

export function createLayerClient(deps: RegistryDeps, authorizer: Authorizer): LayerClient {
  const ask = (request: RegistryRequest): Promise<HttpAnswer> =>
    sendRegistryRequest({ ...request, accept: '*/*' }, deps, authorizer);

  function fail({ method, url, access }: RegistryRequest, { status, headers, body }: HttpAnswer): Error {
    const { doing, side, shown } = access;
    const answer = { doing, side, host: url.host, status, retryAfter: headers['retry-after'] };
    const quoted = hideSecrets(body.toString('utf8', 0, LONGEST_QUOTED), [...shown]);
    return createAnswerError({ ...answer, operation: `${method} layer`, body: quoted }, deps.clock.nowMs());
  }

  /** What a registry does not know how to end, or does not let us, it ends some day by itself. */
  async function endUpload(mount: RegistryRequest, answer: HttpAnswer): Promise<void> {
    const { access } = mount;
    const url = findUpload(mount, answer);
    const signal = AbortSignal.any([access.signal, AbortSignal.timeout(END_UPLOAD_TIMEOUT_MS)]);
    if (url) {
      await ask({ method: 'DELETE', url, access: { ...access, actions: 'delete', signal } }).catch(() => {});
    }
  }

  return {
    async hasLayer(image, digest) {
      const { origin, ...access } = createAccess(image, describeSearch(image, digest));
      const url = new URL(`/v2/${access.repository}/blobs/${digest}`, origin);
      const request: RegistryRequest = {
        method: 'HEAD',
        url,
        access: { ...access, origin, actions: 'pull' },
      };
      const answer = await ask(request);
      if (answer.status !== 200 && answer.status !== 404) {
        throw fail(request, answer);
      }
      return answer.status === 200;
    },

    async mountLayer(image, layer) {
      const request = createUpload(image, describeSearch(image, layer.digest), layer);
      const answer = await ask(request);
      if (answer.status === 429) {
        throw fail(request, answer);
      }
      const result = RESULTS.get(answer.status) ?? 'refused';
      if (result === 'unmounted') {
        await endUpload(request, answer);
      }
      return result;
    },

    async tryUpload(image) {
      const request = createUpload(image, `beginning to write ${formatReference(image.reference)}`);
      const answer = await ask(request);
      if (answer.status !== 202) {
        throw fail(request, answer);
      }
      await endUpload(request, answer);
    },
  };
}

/** The request that begins an upload, or takes a layer from another repository instead. */
function createUpload(image: ImageAccess, doing: string, layer?: MountedLayer): RegistryRequest {
  const { origin, ...rest } = createAccess(image, doing);
  const url = new URL(`/v2/${rest.repository}/blobs/uploads/`, origin);
  const access: Access = { ...rest, origin, actions: 'pull,push' };
  if (!layer) {
    return { method: 'POST', url, access };
  }
  url.searchParams.set('mount', layer.digest);
  url.searchParams.set('from', layer.from);
  return { method: 'POST', url, access: { ...access, from: layer.from } };
}

function describeSearch({ reference }: ImageAccess, digest: string): string {
  return `looking for the layer ${digest} of ${formatReference(reference)}`;
}

function createAccess(image: ImageAccess, doing: string): Omit<Access, 'actions'> {
  const { reference, side, credential, insecureRegistries, signal } = image;
  const origin = toApiOrigin(reference.host, insecureRegistries);
  const shown = new Set(listSecrets(credential));
  return { origin, repository: reference.repository, credential, side, doing, signal, shown };
}

/** The registry writes what it likes here: only an upload of its own, in this repository, is ended. */
function findUpload({ url, access }: RegistryRequest, { headers }: HttpAnswer): URL | undefined {
  const upload = headers.location ? URL.parse(headers.location, url) : null;
  const isOwn = upload?.origin === access.origin.origin && upload.username === '' && upload.password === '';
  return isOwn && upload.pathname.startsWith(`/v2/${access.repository}/blobs/upload`) ? upload : undefined;
}
