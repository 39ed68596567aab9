import {
  RefusedManifestError,
  RegistryError,
  type RegistryFailure,
  type RegistrySide,
} from '../../errors.ts';
import { formatReference } from '../../images/reference.ts';
import type { CopyJob } from '../../reconcile/ports.ts';
import { readBackupRefusal } from '../manifests/backup-refusal.ts';
import { hideSecrets, LONGEST_QUOTED, toPlainText } from '../../plain-text.ts';
import { createAnswerError, toReason } from '../registry-failure.ts';
import { describeBroken } from './broken-source.ts';
import type { FailedRequest, RunTrace } from './trace.ts';

/**
 * A run of the engine that ended by itself, with an exit code other than 0 or with a trace that forbids to
 * trust it.
 */
export interface FailedRun {
  readonly job: CopyJob;
  readonly trace: RunTrace;
  /** Null when a signal ended it that was not ours: short of memory, most likely. */
  readonly exitCode: number | null;
  /** What the engine was given, and may have been told back. */
  readonly secrets?: readonly string[];
}

/**
 * Why a run failed, from its requests. The engine's last words only narrow down which request was decisive,
 * and tell apart what registries say with one status: their wording is not ours, and `unauthorized` can mean
 * a rate limit.
 */
export function describeFailedRun(run: FailedRun, nowMs: number): RegistryError {
  const { trace, secrets = [] } = run;
  // Before it is cut to what can be told: the rest of a secret would not be found any more.
  const hide = (text: string): string => hideSecrets(text.slice(0, LONGEST_QUOTED), secrets);
  return describeRun({ ...run, trace: { ...trace, finalText: hide(trace.finalText) } }, hide, nowMs);
}

function describeRun(
  { job, trace, exitCode }: FailedRun,
  hide: (text: string) => string,
  nowMs: number,
): RegistryError {
  const doing = `copying ${formatReference(job.source)} to ${formatReference(job.copy)}`;
  if (trace.isConfigRefused) {
    const message = `${doing}: the copy engine did not accept its configuration`;
    return new RegistryError(message, { reason: 'Unknown', side: 'backup' });
  }
  const request = exitCode === null ? undefined : findDecisive(trace);
  const broken = exitCode === null ? undefined : describeBroken(job, trace, request);
  if (broken) {
    return new RegistryError(`${doing}: ${broken.text}`, { reason: broken.reason, side: 'source' });
  }
  if (!request) {
    const ended = exitCode === null ? 'was killed' : `ended with exit code ${exitCode}`;
    const message = `${doing}: the copy engine ${ended} and said: ${toPlainText(trace.finalText) || 'nothing'}`;
    return new RegistryError(message, { reason: 'Unknown', side: guessSide(trace.finalText) });
  }
  if (request.status === undefined) {
    return describeUnanswered(doing, request, hide);
  }
  const { side, host, status, retryAfter } = request;
  const reason = toRunReason({ ...request, status }, trace.finalText);
  const body = trace.finalText;
  const answer = { doing, side, host, status, operation: describeOperation(request), retryAfter, body };
  const known = findKnownRefusal(job, { ...request, status, reason }, trace.finalText);
  const error = createAnswerError({ ...answer, reason, ...known }, nowMs);
  const manifest = findRefusedManifest({ ...request, status });
  const said = createAnswerError({ ...answer, reason, hint: '' }, nowMs).message;
  return manifest === undefined
    ? error
    : new RefusedManifestError(error.message, { reason: error.reason, manifest, said });
}

/** What is known about it when the backup refuses an image for what it is. */
function findKnownRefusal(
  job: CopyJob,
  request: FailedRequest & { readonly status: number; readonly reason: RegistryFailure },
  text: string,
): { readonly reason: RegistryFailure; readonly hint: string } | undefined {
  if (isPartRefused(job, request, request.reason)) {
    return { reason: 'Unsupported', hint: PART_REFUSED };
  }
  return isAlgorithmRefused(job, request, text)
    ? { reason: 'Unsupported', hint: ALGORITHM_REFUSED }
    : undefined;
}

/** What was to be written, where the backup refused a manifest as such: it was not busy, and knows who we are. */
function findRefusedManifest({
  method,
  side,
  path,
  status,
}: FailedRequest & { readonly status: number }): string | undefined {
  const isRefusal = side === 'backup' && method === 'PUT' && REFUSED_STATUSES.has(status);
  return isRefusal ? /\/manifests\/([^/]+)$/.exec(path)?.[1] : undefined;
}

const ALGORITHM_REFUSED =
  '; it knows no images by another digest than sha256: pin the image to its sha256 digest, or to a tag';

/** An image that is pinned by sha512, say, and that the backup would know by no such digest. */
function isAlgorithmRefused(
  { source }: CopyJob,
  { method, side, status }: FailedRequest & { readonly status: number },
  text: string,
): boolean {
  const isOther = source.digest !== undefined && !source.digest.startsWith('sha256:');
  const isRefusal = side === 'backup' && method === 'PUT' && status === 400;
  return isOther && isRefusal && /DIGEST_INVALID|UNSUPPORTED|algorithm/i.test(text);
}

const PART_REFUSED =
  '; it takes no image of which it has not all platforms: allow that in the registry, or set PLATFORMS=all';
/** Registries do not agree about which one it is, nor about the words. */
const PART_REFUSED_STATUSES: ReadonlySet<number> = new Set([400, 404, 412, 422]);
/** With 500, the distribution registry refuses layers that are kept elsewhere; with 415, older versions of zot media types of Docker. */
const REFUSED_STATUSES: ReadonlySet<number> = new Set([...PART_REFUSED_STATUSES, 415, 500]);

/** A part of an image that the backup takes only whole: its layers were taken, and its index is not. */
function isPartRefused(
  { platforms = 'all', copy }: CopyJob,
  { method, side, path, status }: FailedRequest & { readonly status: number },
  reason: RegistryFailure,
): boolean {
  const isIndex = method === 'PUT' && side === 'backup' && path.endsWith(`/manifests/${copy.tag}`);
  const isSaid = reason === 'ImmutableTag' || reason === 'QuotaExceeded';
  return platforms !== 'all' && isIndex && PART_REFUSED_STATUSES.has(status) && !isSaid;
}

function describeUnanswered(
  doing: string,
  { side, host, method, ...request }: FailedRequest,
  hide: (text: string) => string,
): RegistryError {
  const problem = hide(request.problem ?? '');
  const registry = `${side} registry ${host}`;
  if (problem.includes('digest mismatch')) {
    const message = `${doing}: ${registry} sent a layer that is not what its digest says`;
    return new RegistryError(message, { reason: 'Unknown', side });
  }
  const isCutOff = side === 'source' && method !== 'GET' && method !== 'HEAD';
  const what = isCutOff ? `${registry} broke off in the middle of a layer` : `no answer from ${registry}`;
  const message = `${doing}: ${what} (${toPlainText(problem) || 'no answer'})`;
  return new RegistryError(message, { reason: 'RegistryUnavailable', side });
}

/**
 * The failed request that explains the end of the run: of all that failed, the one of the first class; of
 * those, the last.
 */
function findDecisive({ failures, finalText }: RunTrace): FailedRequest | undefined {
  const explained = dropExplainedChallenges(failures);
  const serious = explained.filter((request) => !isTolerated(request));
  const candidates = serious.length > 0 ? serious : explained;
  // The first status named is the engine's own; an answer quoted after it may name others.
  const named = Number(/\[http (\d{3})\]/.exec(finalText)?.[1]);
  const matching = candidates.filter(({ status }) => status === named);
  let decisive: FailedRequest | undefined;
  for (const request of matching.length > 0 ? matching : candidates) {
    if (!decisive || toRank(request) <= toRank(decisive)) {
      decisive = request;
    }
  }
  return decisive;
}

/** A 401 whose token service then failed says nothing; the token service's answer does. */
function dropExplainedChallenges(failures: readonly FailedRequest[]): readonly FailedRequest[] {
  const failedServices = new Set(
    failures.filter(({ place }) => place === 'token').map(({ host, path }) => `${host}${path}`),
  );
  return failures.filter(({ realm }) => realm === undefined || !failedServices.has(realm));
}

/**
 * The engine asks the backup what it has, and goes on without an answer; it stops only when none comes at
 * all. An upload that is out of step (416), or that cannot be given up, is so because of an earlier failure.
 */
function isTolerated({ method, side, status }: FailedRequest): boolean {
  return (
    method === 'DELETE' || status === 416 || (method === 'HEAD' && side === 'backup' && status !== undefined)
  );
}

function toRank({ status }: FailedRequest): number {
  if (status === undefined) {
    return 5;
  }
  if (status >= 500) {
    return 3;
  }
  const ranks: Readonly<Record<number, number>> = { 429: 0, 401: 1, 403: 1, 404: 2 };
  return ranks[status] ?? 4;
}

function toRunReason(request: FailedRequest & { readonly status: number }, text: string): RegistryFailure {
  const { status, side, place, method, path } = request;
  const isRefusal = status < 500 && status !== 429;
  if (place !== 'registry' && isRefusal) {
    // Storage behind a registry is asked by an address that the registry made up a moment ago: the next one may be good.
    return place === 'token' ? 'Unauthorized' : 'RegistryUnavailable';
  }
  if (status === 404) {
    return toMissingReason(side, method, path);
  }
  const isWrite = side === 'backup' && method !== 'HEAD' && method !== 'GET';
  return (isWrite ? readBackupRefusal(status, text) : undefined) ?? toReason(status);
}

/**
 * "Not found" is about the image only when a manifest of the source was asked for, or the backup has no such
 * repository.
 */
function toMissingReason(side: RegistrySide, method: string, path: string): RegistryFailure {
  if (side === 'source') {
    return path.includes('/manifests/') ? 'NotFound' : 'Unknown';
  }
  // An upload that the backup has forgotten; a fresh one can succeed.
  return method === 'POST' || path.includes('/manifests/') ? 'NotFound' : 'RegistryUnavailable';
}

/** What was asked, for messages. */
export function describeOperation({ method, path, place }: FailedRequest): string {
  if (place === 'token') {
    return 'token request';
  }
  const kind = /\/(manifests|blobs\/uploads|blobs)\//.exec(path)?.[1];
  const names: Readonly<Record<string, string>> = {
    manifests: 'manifest',
    blobs: 'layer',
    'blobs/uploads': 'layer upload',
  };
  return `${method} ${names[kind ?? ''] ?? 'storage'}`;
}

/** Without a failed request: a manifest that is not what its digest says comes from the source. */
function guessSide(text: string): RegistrySide {
  return /getting source|failed to get|digest mismatch/.test(text) ? 'source' : 'backup';
}
