import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** What is waited for, as it ends the sentence "waited 5 s for …". */
  readonly what: string;
  readonly deadlineMs?: number;
  readonly pollMs?: number;
  readonly signal?: AbortSignal;
}

/** Waiting is over before the condition was met. */
class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** Any value but these, and NaN, means that the condition is met: an empty log is no answer either. */
type NotYet = undefined | null | false | 0 | '';

/**
 * Asks again and again until the answer is something, and returns that. A condition that throws is asked again, too:
 * its last error becomes the cause.
 *
 * @throws {DeadlineError} that says what was waited for, how long, and what was last answered.
 */
export async function waitFor<T>(
  condition: () => Promise<T> | T,
  { what, deadlineMs = 60_000, pollMs = 50, signal }: WaitOptions,
): Promise<Exclude<T, NotYet>> {
  const endsAtMs = Date.now() + deadlineMs;
  for (;;) {
    signal?.throwIfAborted();
    const answer = await attempt(condition);
    if ('value' in answer && isMet(answer.value)) {
      return answer.value;
    }
    if (Date.now() >= endsAtMs) {
      throw tooLate(`waited ${deadlineMs / 1_000} s for ${what}`, answer);
    }
    await sleep(pollMs, undefined, signal ? { signal } : {});
  }
}

function isMet<T>(value: T): value is Exclude<T, NotYet> {
  return Boolean(value);
}

type Answer<T> = { readonly value: T } | { readonly error: unknown };

async function attempt<T>(condition: () => Promise<T> | T): Promise<Answer<T>> {
  try {
    return { value: await condition() };
  } catch (error) {
    return { error };
  }
}

function tooLate<T>(message: string, answer: Answer<T>): DeadlineError {
  if (!('error' in answer)) {
    return new DeadlineError(message);
  }
  const { error } = answer;
  return new DeadlineError(`${message}; last: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}
