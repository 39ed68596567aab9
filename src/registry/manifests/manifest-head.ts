import type { Clock } from '../../clock.ts';
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
  /** With what status a registry answers HEAD wrongly; by host and port of its API. */
  findWrongStatus(host: string): number | undefined;
}

/** Asks for a manifest with HEAD, and with GET where that says too little, or has turned out to be answered wrongly. */
export function createHeadFetcher(deps: HeadDeps, { onDownload, onHeadWrong }: HeadListeners): HeadFetcher {
  const manners = createHeadManners(deps.clock);

  async function fetchWhole(request: RegistryRequest, image: ImageAccess): Promise<ManifestHead | undefined> {
    if (image.side === 'source' && !image.isProbe) {
      onDownload?.(request.url.host, request.access.doing);
    }
    const whole = await deps.fetchBody(request, image);
    return (
      whole && {
        digest: checkDigest(hashManifest(whole, image, request), image, request),
        mediaType: readMediaType(whole),
        sizeBytes: whole.body.length,
      }
    );
  }

  async function fetchHead(request: RegistryRequest, image: ImageAccess): Promise<ManifestHead | undefined> {
    const { host } = request.url;
    if (typeof manners.find(host) === 'object') {
      return fetchWhole(request, image);
    }
    const answer = await deps.ask(request, image);
    if (answer.status === 200) {
      manners.note(host, 'right');
      return readHead(answer, image, request) ?? fetchWhole(request, image);
    }
    if (isHeadDoubted(answer.status, manners.find(host))) {
      const whole = await fetchWhole(request, image);
      // Whatever it says to GET, it does not say the same to HEAD.
      if (whole || answer.status !== 404) {
        manners.note(host, { wrong: answer.status });
        onHeadWrong?.(host, answer.status);
      }
      return whole;
    }
    if (answer.status === 404) {
      return undefined;
    }
    throw deps.fail(request, answer);
  }

  return {
    fetchHead,
    findWrongStatus(host) {
      const manner = manners.find(host);
      return typeof manner === 'object' ? manner.wrong : undefined;
    },
  };
}
