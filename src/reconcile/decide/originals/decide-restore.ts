import { isRolledOut } from '../../../workloads/rollout.ts';
import type { SwapRecord } from '../../../workloads/record.ts';
import type { Workload } from '../../../workloads/workload.ts';
import { isReleaseDue } from './ownership.ts';
import type { WorkloadPatch } from '../../ports.ts';
import { planRestore } from './restore.ts';
import { mayHaveStuckPods } from '../pods/stuck-pods.ts';

/** The patch of a restore, and what it means for the rollout budget. */
export interface Restore {
  readonly patch: WorkloadPatch;
  /**
   * `awaited`: pods that serve are replaced, so the workload waits for its turn like a swap. `taken`: pods are being
   * replaced already, or do not start: waiting would help nobody, but the others wait for this one. `none`: no pod is
   * replaced now.
   */
  readonly place: 'awaited' | 'taken' | 'none';
}

export interface RestoreFacts {
  readonly workload: Workload;
  readonly record: SwapRecord;
  /** True when one more workload may roll out because of us. */
  readonly isPlaceFree: boolean;
  readonly requeueAfterMs: number;
  readonly nowMs: number;
}

function findPlace(workload: Workload, { slots }: WorkloadPatch): Restore['place'] {
  const { paused, onDelete, desired } = workload.rollout;
  if (slots.length === 0 || paused || onDelete || desired === 0) {
    return 'none';
  }
  return isRolledOut(workload) ? 'awaited' : 'taken';
}

/**
 * Decides whether a workload gets its originals back now. It is the user's wish, so nothing but pace holds it up: neither
 * a policy, nor a hold, nor a rollout that is stuck, nor a pause.
 */
export function decideRestore({ workload, record, isPlaceFree, requeueAfterMs, nowMs }: RestoreFacts) {
  const patch = workload.rollout.terminating ? undefined : planRestore(workload, record);
  if (!patch) {
    const isWatched = mayHaveStuckPods(workload, record, { isRestoring: true, nowMs });
    return {
      events: [],
      // What stands there now is what the user wrote: they, or their tool, should meet no conflict over it.
      ...(isReleaseDue(workload, record) && ({ release: true } as const)),
      ...(isWatched && { lookAgainMs: requeueAfterMs }),
    };
  }
  const place = findPlace(workload, patch);
  if (place === 'awaited' && !isPlaceFree) {
    return { events: [], waiting: 'too many rollouts', lookAgainMs: requeueAfterMs } as const;
  }
  return { events: [], restore: { patch, place } };
}
