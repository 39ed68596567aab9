/** Time as a parameter, so that tests decide what time it is. */
export interface Clock {
  /** Wall clock: only for what people and other processes read. It may jump. */
  nowMs(): number;
  /** Never goes back and never jumps: for ages, deadlines and leases. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** 25 days: `setTimeout` fires at once for anything longer. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Waits, if there is anything to wait for, or returns early once the signal is aborted; the caller looks at the signal. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted || ms <= 0) {
      resolve();
      return;
    }
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener('abort', finish, { once: true });
  });
}

/** A budget that refills steadily and is spent ahead of time: whoever takes from an empty one waits its turn. */
export interface TokenBucket {
  /** Takes one token, now or from the future; returns how long to wait for it. */
  reserveMs(): number;
}

export function createTokenBucket(options: {
  readonly perSecond: number;
  readonly burst: number;
  readonly clock: Clock;
}): TokenBucket {
  const { perSecond, burst, clock } = options;
  let tokens = burst;
  let countedAtMs = clock.monotonicMs();
  return {
    reserveMs() {
      const nowMs = clock.monotonicMs();
      tokens = Math.min(burst, tokens + ((nowMs - countedAtMs) / 1000) * perSecond) - 1;
      countedAtMs = nowMs;
      return tokens >= 0 ? 0 : (-tokens / perSecond) * 1000;
    },
  };
}

export async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) {
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve, { once: true });
    });
  }
}

/**
 * Ends as the work does, or with the reason of the signal, whichever comes first: for work that may not notice the signal.
 * What becomes of the work after that is nobody's concern.
 */
export function orAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) {
      stop();
    }
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
