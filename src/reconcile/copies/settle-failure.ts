import type { RegistryError } from '../../errors.ts';
import { formatReference } from '../../images/reference.ts';
import type { EnsureCopyDeps } from './copy-plan.ts';
import type { CopyRequest, CopyState, FailedCopy } from './copy-state.ts';
import type { CopyStore } from './copy-store.ts';

/** A failure that waits for somebody to change something is looked at again at this pace all the same. */
const SECOND_LOOK_MS = 3_600_000;

interface SettleDeps extends Pick<EnsureCopyDeps, 'log' | 'nowMs' | 'onCopied'> {
  readonly copies: Pick<CopyStore, 'get' | 'findLast' | 'settle' | 'failOpen' | 'noteUnchecked'>;
}

/** When to look again at a failure that no back-off should hurry; undefined: back off. */
function planSecondLookMs(error: RegistryError, nowMs: number): number | undefined {
  if (error.retryAtMs !== undefined) {
    return Math.max(1000, error.retryAtMs - nowMs);
  }
  return error.retryable ? undefined : SECOND_LOOK_MS;
}

/** A registry that gives no answer is not asked by everybody: that is no news, and what was told before says more. */
function wasNotAsked({ reason, retryAtMs }: RegistryError): boolean {
  return reason === 'Timeout' && retryAtMs !== undefined;
}

interface Failure {
  readonly request: CopyRequest;
  readonly error: RegistryError;
  /** The backup has said that it does not have the copy. */
  readonly isMissing: boolean;
}

/** @throws {RegistryError} when the queue is to back off. */
export function settleFailure(deps: SettleDeps, failure: Failure): { requeueAfterMs: number } {
  const { request, error, isMissing } = failure;
  const before = deps.copies.findLast(request);
  const requeueAfterMs = planSecondLookMs(error, deps.nowMs());
  if (before?.phase === 'failed' && requeueAfterMs !== undefined && wasNotAsked(error)) {
    return { requeueAfterMs };
  }
  const proven = isMissing ? undefined : findProof(before);
  if (proven) {
    failOpen(deps, failure);
  } else {
    settleFailed(deps, failure, before);
  }
  if (requeueAfterMs === undefined) {
    throw error;
  }
  const facts = { source: formatReference(request.source), err: error, requeueAfterMs };
  if (proven) {
    noteUnchecked(deps, failure);
    deps.log.warn({ ...facts, ...proven }, 'copy not checked');
  } else {
    deps.log.warn(facts, 'image not copied');
  }
  return { requeueAfterMs };
}

/** Those whose pods report by now what it was not compared with must not wait for ever for a look that fails. */
function failOpen(deps: SettleDeps, failure: Failure): void {
  if (deps.copies.get(failure.request)?.phase !== 'verified') {
    deps.copies.failOpen(failure.request, toFailed(deps, failure, undefined));
  }
}

/** What may pass by itself is no news of a copy in use. */
function noteUnchecked({ copies }: SettleDeps, { request, error }: Failure): void {
  if (!error.retryable) {
    copies.noteUnchecked(request, `${error.reason}: ${error.message}`);
  }
}

/** For the log. What was proven stays so until the backup itself says that it is not there. */
function findProof(known: CopyState | undefined): { copy: string; provenAt?: string } | undefined {
  if (known?.phase !== 'verified') {
    return undefined;
  }
  const { image: copy, provenAtMs } = known;
  return { copy, ...(provenAtMs !== undefined && { provenAt: new Date(provenAtMs).toISOString() }) };
}

function settleFailed(deps: SettleDeps, failure: Failure, before: CopyState | undefined): void {
  deps.onCopied('failed', 0);
  deps.copies.settle(failure.request, toFailed(deps, failure, before));
}

function toFailed(
  { nowMs }: SettleDeps,
  { error: { reason, side, message, retryable }, isMissing }: Failure,
  before: CopyState | undefined,
): FailedCopy {
  const sinceMs = before?.phase === 'failed' ? before.sinceMs : nowMs();
  const failed = { phase: 'failed', reason, side, message, isFinal: !retryable, sinceMs } as const;
  return { ...failed, ...(isMissing && { isMissing }) };
}
