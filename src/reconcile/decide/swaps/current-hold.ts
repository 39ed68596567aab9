import { FIELD_MANAGER } from '../../../workloads/image-owner.ts';
import type { WorkloadFacts } from '../decision.ts';
import { planRevert } from '../originals/revert.ts';
import { findFailureHoldEndMs } from '../originals/undo.ts';

/** A workload that is left as it is for a while, because a swap did not last. */
export interface CurrentHold {
  readonly why: 'held after a swap that was reverted' | 'held after a swap that failed';
  /** Who is known to have put the originals back: a field manager, which anybody may call itself. */
  readonly by?: string;
  readonly untilMs: number;
}

/** What is written down of it on the workload; undefined when nothing is. */
export function findHold(facts: WorkloadFacts): CurrentHold | undefined {
  const { workload, record, nowMs } = facts;
  const revert = planRevert(facts);
  if (revert?.is === 'held') {
    const manager = workload.imageOwners?.[0]?.manager ?? FIELD_MANAGER;
    const by = manager === FIELD_MANAGER ? {} : { by: manager };
    return { why: 'held after a swap that was reverted', ...by, untilMs: revert.untilMs };
  }
  const untilMs = findFailureHoldEndMs(workload, record, nowMs);
  return untilMs === undefined ? undefined : { why: 'held after a swap that failed', untilMs };
}
