const REASONS = ['swapping stopped', 'too many rollouts', 'first swap of the namespace'] as const;

/** Why a workload has to wait for others before it may be swapped. */
export type PaceReason = (typeof REASONS)[number];

/** Whether a workload waits for others, and for nothing of its own. */
export function isPaceReason(waiting: string): waiting is PaceReason {
  return REASONS.some((reason) => reason === waiting);
}
