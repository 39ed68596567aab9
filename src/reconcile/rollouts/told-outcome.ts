import type { SwapOutcome } from './swap-outcome.ts';

/** What has become of a swap of which only the record tells. */
export interface ToldOutcome {
  readonly outcome: SwapOutcome | undefined;
  readonly atMs: number;
  /** Whether it may count as a rollout of ours. */
  readonly mayRoll: boolean;
}

/** What the leader before has done at last may be heard of so much later. */
const LATE_NEWS_MS = 5_000;

/**
 * Whether a record may tell of a rollout that nobody has seen begin. What the leader before has begun is known when this one
 * begins, or a moment later: what records tell then is forged.
 */
export function mayBelieve(leadingSinceMs: number | undefined, nowMs: number): boolean {
  return leadingSinceMs === undefined || nowMs <= leadingSinceMs + LATE_NEWS_MS;
}
