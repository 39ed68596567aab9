/** How often each key has failed in a row, as a delay. */
export interface KeyBackoff {
  /** Counts one more failure of the key and returns how long to leave it alone. */
  nextMs(key: string): number;
  /** After a success, or when the key is given up: the next failure counts as the first. */
  forget(key: string): void;
  failures(key: string): number;
}

/** Doubles with every failure of the same key, up to a limit; less by up to a half, so that keys do not march in step. */
export function createKeyBackoff(options: {
  readonly firstMs: number;
  readonly longestMs: number;
  /** From 0 to 1; without it there is no jitter. */
  readonly random?: () => number;
}): KeyBackoff {
  const { firstMs, longestMs, random = () => 1 } = options;
  const failures = new Map<string, number>();
  return {
    nextMs(key) {
      const before = failures.get(key) ?? 0;
      failures.set(key, before + 1);
      return Math.min(firstMs * 2 ** before, longestMs) * (0.5 + random() / 2);
    },
    forget(key) {
      failures.delete(key);
    },
    failures: (key) => failures.get(key) ?? 0,
  };
}
