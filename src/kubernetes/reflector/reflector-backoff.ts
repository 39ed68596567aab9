import type { Clock } from '../../clock.ts';

/** client-go's: about one list or watch every 30 to 60 s against a server that keeps failing. */
const FIRST_MS = 800;
const LONGEST_MS = 30_000;
const RESET_AFTER_MS = 2 * 60_000;

/** How long to wait before the next attempt; forgets earlier failures after two quiet minutes. */
export function createReflectorBackoff(clock: Clock, random: () => number): () => number {
  let delayMs = FIRST_MS;
  let askedAtMs = clock.monotonicMs();
  return () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - askedAtMs > RESET_AFTER_MS) {
      delayMs = FIRST_MS;
    }
    askedAtMs = nowMs;
    const jitteredMs = delayMs * (1 + random());
    delayMs = Math.min(delayMs * 2, LONGEST_MS);
    return jitteredMs;
  };
}
