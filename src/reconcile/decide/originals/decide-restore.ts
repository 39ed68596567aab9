import { isRolledOut } from '../../../workloads/rollout.ts';
import type { SwapRecord } from '../../../workloads/record.ts';
import type { Workload } from '../../../workloads/workload.ts';
import { isReleaseDue } from './ownership.ts';
import type { WorkloadPatch } from '../../ports.ts';
import type { Restore } from '../action.ts';
import type { Decision } from '../decision.ts';
import { planRestore } from './restore.ts';
import { mayHaveStuckPods } from '../pods/stuck-pods.ts';

export interface RestoreFacts {
  readonly workload: Workload;
  readonly record: SwapRecord;
  /** True when one more workload may roll out because of us. */
  readonly isPermitFree: boolean;
  readonly requeueIntervalMs: number;
  readonly nowMs: number;
}

function findPermit(workload: Workload, { slots }: WorkloadPatch): Restore['permit'] {
  const { paused, onDelete, desired } = workload.rollout;
  if (slots.length === 0 || paused || onDelete || desired === 0) {
    return 'none';
  }
  return isRolledOut(workload) ? 'awaited' : 'taken';
}

/**
 * Decides whether a workload gets its originals back now. It is the user's wish, so nothing but its turn holds it up: neither
 * a policy, nor a hold, nor a rollout that is stuck, nor a pause.
 */
export function decideRestore(facts: RestoreFacts): Decision {
  const { workload, record, isPermitFree, requeueIntervalMs, nowMs } = facts;
  const patch = workload.rollout.terminating ? undefined : planRestore(workload, record);
  if (!patch) {
    const isWatched = mayHaveStuckPods(workload, record, { isRestoring: true, nowMs });
    return {
      // What stands there now is what the user wrote: they, or their tool, should meet no conflict over it.
      actions: isReleaseDue(workload, record) ? [{ is: 'release images' }] : [],
      events: [],
      ...(isWatched && { requeueAfterMs: requeueIntervalMs }),
    };
  }
  const permit = findPermit(workload, patch);
  return permit === 'awaited' && !isPermitFree
    ? {
        actions: [{ is: 'wait', reason: 'too many rollouts' }],
        events: [],
        requeueAfterMs: requeueIntervalMs,
      }
    : { actions: [{ is: 'restore', patch, permit }], events: [] };
}
