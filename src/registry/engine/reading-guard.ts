import type { CopyJob } from '../../reconcile/ports.ts';
import { findExcess } from '../manifests/image-limits.ts';
import type { TraceLine, TracedRequest } from './trace-line.ts';
import { locateRequest } from './trace-place.ts';

/** Adds up what one run of the engine reads of an image. */
export interface ReadingGuard {
  /** To be told of every line of the trace. */
  note(line: TraceLine): void;
  /** Why the engine has to be stopped; undefined as long as it has not. */
  findExcess(): string | undefined;
}

/** Anything else at the source may be a layer: some registries redirect to themselves. */
const MANIFEST_PATH = /^\/v2\/.+\/(manifests|referrers)\/([^/]+)$/;

/**
 * What was looked at before the engine started is not all that it reads: sources may have lied about sizes, may answer it
 * otherwise than us, and list signatures and tags as they like. So the same limits hold for what it tells that it reads,
 * referrers and all. Lists of them count as manifests count, by their bytes. Lists of tags do not, which grow with the
 * repository and not with the image; what the engine makes of them, the limit on its memory bounds.
 */
export function createReadingGuard(job: CopyJob): ReadingGuard {
  let manifests = 0;
  let manifestBytes = 0;
  let layersTogether = 0;

  /** Any but that of the image itself. */
  function isOther(kind: string, name: string | undefined): boolean {
    return kind === 'manifests' && name !== job.source.digest;
  }

  function noteRequest(request: TracedRequest): void {
    const { method, url, status, headers } = request;
    const [, kind, name] = MANIFEST_PATH.exec(url.pathname) ?? [];
    const { side, place } = locateRequest(request, job, new Map());
    const isRead = method === 'GET' && status === 200 && side === 'source' && place === 'registry';
    if (!isRead || kind === undefined) {
      return;
    }
    const bytes = Number(headers['Content-Length']?.[0]);
    manifestBytes += Number.isSafeInteger(bytes) ? Math.max(0, bytes) : 0;
    manifests += isOther(kind, name) ? 1 : 0;
  }

  return {
    note({ message, request }) {
      layersTogether += message === 'Copy layer' ? 1 : 0;
      if (request) {
        noteRequest(request);
      }
    },
    findExcess: () => findExcess({ manifests, manifestBytes, layersTogether }),
  };
}
