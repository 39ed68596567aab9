import { type Clock, createTokenBucket, wait } from '../../clock.ts';

/** A limit of our own, as other controllers have it: so many requests at once, then so many per second. */
export interface RequestRate {
  readonly perSecond: number;
  readonly burst: number;
}

/** When a request may be sent, for all requests of one connection together. */
export interface RequestTurns {
  /** @throws the reason of the signal. */
  take(signal: AbortSignal | undefined): Promise<void>;
  /** The API server has told one request to come back later, because it has too much to do: the others wait as well. */
  pause(ms: number): void;
}

/** Of one request. It is sent then, and told by itself to come back later. */
const LONGEST_PAUSE_MS = 30_000;

/**
 * Without a rate the API server alone decides, by its API Priority and Fairness: a limit of our own would serve all tenants in
 * the order in which they come.
 */
export function createRequestTurns(rate: RequestRate | undefined, clock: Clock): RequestTurns {
  const bucket = rate && createTokenBucket({ ...rate, clock });
  let pausedUntilMs = -Infinity;
  return {
    async take(signal) {
      signal?.throwIfAborted();
      await wait(bucket?.reserveMs() ?? 0, signal);
      const endMs = clock.monotonicMs() + LONGEST_PAUSE_MS;
      const countLeftMs = (): number => Math.min(pausedUntilMs, endMs) - clock.monotonicMs();
      // It may be told to wait longer meanwhile.
      while (countLeftMs() > 0) {
        signal?.throwIfAborted();
        await wait(countLeftMs(), signal);
      }
      signal?.throwIfAborted();
    },
    pause(ms) {
      pausedUntilMs = Math.max(pausedUntilMs, clock.monotonicMs() + ms);
    },
  };
}
