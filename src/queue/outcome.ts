import { ApiError, ConflictError, ControllerError, RegistryError } from '../errors.ts';

/** What a reconciler hands back when it did not fail. */
export interface ReconcileResult {
  /** When to look again if nothing is heard before; undefined: only when something changes. */
  readonly requeueAfterMs?: number | undefined;
}

/** Closed set: a metric label. */
export type OutcomeResult = 'success' | 'look_again' | 'conflict' | 'retry' | 'gave_up' | 'bug' | 'stopped';
export const OUTCOME_RESULTS: readonly OutcomeResult[] = [
  'success',
  'look_again',
  'conflict',
  'retry',
  'gave_up',
  'bug',
  'stopped',
];

/** What follows from one pass over a key. */
export type Outcome =
  | { readonly result: 'success' | 'gave_up' | 'stopped' }
  | { readonly result: 'look_again'; readonly afterMs: number }
  | { readonly result: 'conflict' }
  | { readonly result: 'retry' | 'bug'; readonly notBeforeMs: number };

export function judgeResult(result: ReconcileResult | void): Outcome {
  const afterMs = result?.requeueAfterMs;
  return afterMs === undefined
    ? { result: 'success' }
    : { result: 'look_again', afterMs: Math.max(0, afterMs) };
}

/** Time for which the other side asked to be left alone. */
function requestedDelayMs(error: ControllerError, nowMs: number): number {
  if (error instanceof RegistryError) {
    return Math.max(0, (error.retryAtMs ?? nowMs) - nowMs);
  }
  return error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
}

/** Turns a failure into retry or surrender; `stopping` when the queue itself has ended the work. */
export function judgeError(
  error: unknown,
  at: { readonly nowMs: number; readonly stopping: boolean },
): Outcome {
  if (at.stopping) {
    return { result: 'stopped' };
  }
  if (!(error instanceof ControllerError)) {
    return { result: 'bug', notBeforeMs: 0 };
  }
  if (error instanceof ConflictError) {
    return { result: 'conflict' };
  }
  return error.retryable
    ? { result: 'retry', notBeforeMs: requestedDelayMs(error, at.nowMs) }
    : { result: 'gave_up' };
}
