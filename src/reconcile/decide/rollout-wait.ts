const REASONS = ['swapping stopped', 'too many rollouts', 'first swap of the namespace'] as const;

/** Why a workload has to wait for others before it may be swapped. */
export type RolloutWait = (typeof REASONS)[number];

/** Whether a workload waits for others, and for nothing of its own. */
export function isRolloutWait(waiting: string): waiting is RolloutWait {
  return REASONS.some((reason) => reason === waiting);
}
