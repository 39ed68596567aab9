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
  /** The API server has told one request to come back later: the others wait as well, 30 s at most. */
  pause(ms: number): void;
}

const LONGEST_PAUSE_MS = 30_000;

/**
 * Without a rate the API server alone decides, by its API Priority and Fairness: a limit of our own would serve all tenants in
 * the order in which they come.
 */
export function createRequestTurns(rate: RequestRate | undefined, clock: Clock): RequestTurns {
  const bucket = rate && createTokenBucket({ ...rate, clock });
  let pausedUntilMs = -Infinity;
  const leftMs = (): number => pausedUntilMs - clock.monotonicMs();
  return {
    async take(signal) {
      signal?.throwIfAborted();
      await wait(bucket?.reserveMs() ?? 0, signal);
      signal?.throwIfAborted();
      // It may be told to wait longer meanwhile.
      while (leftMs() > 0) {
        await wait(leftMs(), signal);
        signal?.throwIfAborted();
      }
    },
    pause(ms) {
      pausedUntilMs = Math.max(pausedUntilMs, clock.monotonicMs() + Math.min(ms, LONGEST_PAUSE_MS));
    },
  };
}
