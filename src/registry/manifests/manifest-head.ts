import type { Clock } from '../../clock.ts';
import { DownloadsKeptError } from '../limits/host-allowances.ts';
import { createHeadManners, isHeadDoubted } from './head-manners.ts';
import type { HttpAnswer } from './http-client.ts';
import type { ImageAccess, ManifestHead } from './image-access.ts';
import { checkDigest, hashManifest, readHead, readMediaType } from './manifest-answer.ts';
import type { RegistryRequest } from './registry-request.ts';

export interface HeadListeners {
  /** Told before a look-up that has to download a manifest of a source, and may throw to keep it from that. */
  readonly onDownload?: (host: string, doing: string) => void;
  /** Told of a registry that answers HEAD of a manifest with this status, and GET rightly: once a day. */
  readonly onHeadWrong?: (host: string, status: number) => void;
}

interface HeadDeps {
  readonly ask: (request: RegistryRequest, image: ImageAccess) => Promise<HttpAnswer>;
  readonly fail: (request: RegistryRequest, answer: HttpAnswer) => Error;
  /** Undefined when there is no such manifest. */
  readonly fetchBody: (request: RegistryRequest, image: ImageAccess) => Promise<HttpAnswer | undefined>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

export interface HeadFetcher {
  fetchHead(request: RegistryRequest, image: ImageAccess): Promise<ManifestHead | undefined>;
  /** With what status HEAD is answered wrongly there. */
  findWrongStatus(repository: ApiRepository): number | undefined;
}

export interface ApiRepository {
  /** Host and port of the registry API. */
  readonly host: string;
  readonly repository: string;
}

/** Asks for a manifest with HEAD, and with GET where that says too little, or has turned out to be answered wrongly. */
export function createHeadFetcher(deps: HeadDeps, { onDownload, onHeadWrong }: HeadListeners): HeadFetcher {
  const manners = createHeadManners(deps.clock);

  async function fetchWhole(request: RegistryRequest, image: ImageAccess): Promise<ManifestHead | undefined> {
    if (image.side === 'source' && !image.isProbe) {
      onDownload?.(request.url.host, request.access.doing);
    }
    const { mostBytes } = image;
    const bounded = { ...request, ...(mostBytes !== undefined && { mostBytes }) };
    const whole = await deps.fetchBody(bounded, image);
    return (
      whole && {
        digest: checkDigest(hashManifest(whole, image, request), image, request),
        mediaType: readMediaType(whole),
        sizeBytes: whole.body.length,
      }
    );
  }

  async function fetchDoubted(
    request: RegistryRequest,
    { image, answer }: DoubtedHead,
  ): Promise<ManifestHead | undefined> {
    const { host } = request.url;
    let whole: ManifestHead | undefined;
    try {
      whole = await fetchWhole(request, image);
    } catch (error) {
      if (error instanceof DownloadsKeptError && manners.isRight(host)) {
        return believeHead(request, answer);
      }
      throw error;
    }
    // Whatever a backup says to GET of what it does not have, it does not say the same to HEAD.
    const isWrong = whole !== undefined || (image.side === 'backup' && answer.status !== 404);
    if (isWrong && manners.noteWrong({ host, repository: nameRepository(request, image) }, answer.status)) {
      onHeadWrong?.(host, answer.status);
    }
    return whole;
  }

  function believeHead(request: RegistryRequest, answer: HttpAnswer): undefined {
    if (answer.status !== 404) {
      throw deps.fail(request, answer);
    }
  }

  async function fetchHead(request: RegistryRequest, image: ImageAccess): Promise<ManifestHead | undefined> {
    const { host } = request.url;
    if (manners.findWrong(nameRepository(request, image)) !== undefined) {
      return fetchWhole(request, image);
    }
    const answer = await deps.ask(request, image);
    const { side } = image;
    if (answer.status === 200) {
      manners.noteRight(host);
      return readHead(answer, image, request) ?? fetchWhole(request, image);
    }
    return isHeadDoubted(answer.status, { side, isRight: manners.isRight(host) })
      ? fetchDoubted(request, { image, answer })
      : believeHead(request, answer);
  }

  return { fetchHead, findWrongStatus: (repository) => manners.findWrong(formatRepository(repository)) };
}

interface DoubtedHead {
  readonly image: ImageAccess;
  readonly answer: HttpAnswer;
}

function nameRepository({ url }: RegistryRequest, { reference }: ImageAccess): string {
  return formatRepository({ host: url.host, repository: reference.repository });
}

function formatRepository({ host, repository }: ApiRepository): string {
  return `${host}/${repository}`;
}
