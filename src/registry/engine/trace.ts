import type { RegistrySide } from '../../errors.ts';
import { keepNewest } from '../../keep-newest.ts';
import type { CopyJob } from '../../reconcile/ports.ts';
import { toApiHost } from '../registry-address.ts';
import { parseTraceLine, type TraceLine, type TracedRequest } from './trace-line.ts';
import { isTagWrite, locateRequest, type RequestPlace } from './trace-place.ts';

/** One HTTP request of the copy engine that did not succeed. */
export interface FailedRequest extends RequestPlace {
  readonly method: string;
  readonly host: string;
  /** Without the query, which can hold signatures and upload states. */
  readonly path: string;
  /** Undefined when no answer came; then `problem` says why. */
  readonly status: number | undefined;
  readonly problem: string | undefined;
  readonly retryAfter: string | undefined;
  /** Token service (host and path) that a 401 points to. */
  readonly realm: string | undefined;
}

/** What a run of the engine told about itself. */
export interface RunTrace {
  /** Requests that failed and were not repeated with success, oldest first. */
  readonly failures: readonly FailedRequest[];
  /** Requests that were given up because the engine was stopped, or because another one failed. */
  readonly unanswered: readonly FailedRequest[];
  /** Digest that the backup registry acknowledged for the tag of the copy. */
  readonly pushedDigest: string | undefined;
  /** The engine could not read the configuration it was given, and went on without. */
  readonly isConfigRefused: boolean;
  /** What it said at its end; holds texts of registries. */
  readonly finalText: string;
}

export interface TraceReader {
  /** Takes one line of stderr; returns the request it tells of when that failed. */
  readLine(line: string): FailedRequest | undefined;
  /**
   * True once the engine said that it goes on without the configuration it was given: to be stopped at once.
   */
  isConfigRefused(): boolean;
  /**
   * True once the backup refuses layers for good. The engine falls back to small chunks then, and repeats each of
   * them for minutes: to be stopped at once.
   */
  isUploadRefused(): boolean;
  read(): RunTrace;
}

const CONFIG_REFUSED = 'Failed to load default config';
/** What no repetition changes. A large layer that is refused in one piece may well be taken in chunks. */
const FINAL_STATUSES: ReadonlySet<number> = new Set([402, 403, 405, 413, 415, 507]);
const MOST_FAILED_CHUNKS = 3;
const MAX_FAILURES = 1_000;
const MAX_UNANSWERED = 16;
const MAX_FINAL_TEXT = 16_384;
const NO_REALMS: ReadonlyMap<string, RegistrySide> = new Map();

/**
 * Reads the engine's trace (`-v trace --logopt json`) as it comes; holds what failed, and not what went well.
 */
export function createTraceReader(job: CopyJob, onLine: (line: TraceLine) => void = () => {}): TraceReader {
  const unanswered: FailedRequest[] = [];
  const failures = new Map<string, FailedRequest>();
  const realms = new Map<string, RegistrySide>();
  let pushedDigest: string | undefined;
  let isConfigRefused = false;
  let failedChunks = 0;
  let finalText = '';

  function readRequest(request: TracedRequest): FailedRequest | undefined {
    const { method, url, problem } = request;
    if (method === 'PATCH') {
      failedChunks = countFailedChunks(request, failedChunks);
    }
    const key = `${method} ${url.origin}${url.pathname}`;
    if (isAnswered(request, job)) {
      failures.delete(key);
      if (isTagWrite(request, job)) {
        pushedDigest = readHeader(request, 'Docker-Content-Digest');
      }
      return undefined;
    }
    // Requests are cancelled because another one failed, or because we asked for it: never the cause.
    if (problem?.includes('context canceled')) {
      unanswered.push(describeRequest(request, locateRequest(request, job, realms)));
      unanswered.splice(MAX_UNANSWERED);
      return undefined;
    }
    const failed = describeFailed(request, job, realms);
    if (failed.realm !== undefined) {
      realms.set(failed.realm, failed.side);
    }
    keepNewest(failures, [key, failed], MAX_FAILURES);
    return failed;
  }

  return {
    readLine(text) {
      // The last thing it writes is its error, which quotes answers: what looks like a trace after that is forged.
      if (finalText !== '' || !text.startsWith('{')) {
        finalText = `${finalText}${text}\n`.slice(0, MAX_FINAL_TEXT);
        return undefined;
      }
      const line = parseTraceLine(text);
      if (line) {
        onLine(line);
      }
      isConfigRefused ||= line?.message === CONFIG_REFUSED;
      return line?.request && readRequest(line.request);
    },
    isConfigRefused: () => isConfigRefused,
    isUploadRefused: () => failedChunks >= MOST_FAILED_CHUNKS,
    read: () => ({
      failures: [...failures.values()],
      unanswered,
      pushedDigest,
      isConfigRefused,
      finalText: finalText.trim(),
    }),
  };
}

/** That the backup has no such manifest or layer is what the engine wants to know, not a failure. */
function isAnswered(request: TracedRequest, job: CopyJob): boolean {
  const { method, status = 599 } = request;
  const isMissing = method === 'HEAD' && status === 404;
  return status < 400 || (isMissing && locateRequest(request, job, NO_REALMS).side === 'backup');
}

function countFailedChunks({ status = 599 }: TracedRequest, before: number): number {
  if (status < 400) {
    return 0;
  }
  return FINAL_STATUSES.has(status) ? MOST_FAILED_CHUNKS : before + 1;
}

/**
 * An upload that ended because the download it is fed from did: it broke off, or was not what the digest says. The
 * engine tells of the upload only, and the download looks fine in the trace.
 */
function isCutOff({ method, problem = '' }: TracedRequest): boolean {
  return (method === 'PUT' || method === 'PATCH') && /^readfrom |digest mismatch/.test(problem);
}

function describeFailed(
  request: TracedRequest,
  job: CopyJob,
  realms: ReadonlyMap<string, RegistrySide>,
): FailedRequest {
  if (isCutOff(request)) {
    const cutOff = describeRequest(request, { side: 'source', place: 'registry' });
    return { ...cutOff, host: toApiHost(job.source.host) };
  }
  return describeRequest(request, locateRequest(request, job, realms));
}

function describeRequest(request: TracedRequest, place: RequestPlace): FailedRequest {
  const { method, url, status, problem } = request;
  return {
    ...place,
    method,
    host: url.host,
    path: url.pathname,
    status,
    problem,
    retryAfter: readHeader(request, 'Retry-After'),
    realm: status === 401 ? readRealm(request) : undefined,
  };
}

function readRealm(request: TracedRequest): string | undefined {
  const text = /\brealm="([^"]+)"/i.exec(readHeader(request, 'Www-Authenticate') ?? '')?.[1];
  const realm = text === undefined ? null : URL.parse(text, request.url);
  return realm ? `${realm.host}${realm.pathname}` : undefined;
}

function readHeader({ headers }: TracedRequest, name: string): string | undefined {
  return headers[name]?.[0];
}
