import type { NotSwappable } from '../../workloads/rollout.ts';
import type { Copy, CopyRequest } from '../copies/copy-state.ts';
import type { ObjectEvent } from '../events/object-event.ts';
import type { PodPatch, WorkloadPatch } from '../ports.ts';
import type { RolloutWait } from './rollout-wait.ts';
import type { CopiedSlot } from './slots/planned-slot.ts';

/** A slot, and the verified copy that it is to hold. */
export interface SlotSwap {
  readonly plan: CopiedSlot;
  readonly copy: Copy;
}

/** Why nothing is swapped now, in the words of the log. */
export type Waiting =
  | 'MODE copy'
  | 'policy copy'
  | 'owned by another controller'
  | 'left to its manager'
  | 'copying'
  | 'no copy'
  | 'nodes of other platforms'
  | 'held after a swap that failed'
  | 'held after a swap that was reverted'
  | 'refused by the API server'
  | 'no pull secret'
  | NotSwappable
  | RolloutWait;

/** Copies are looked at again, whatever was found the last time. */
export interface RecheckCopies {
  readonly is: 'recheck copies';
  readonly requests: readonly CopyRequest[];
}

/** A pod that waits in vain gets the images of today's template. */
export interface FreePod {
  readonly is: 'free pod';
  readonly patch: PodPatch;
}

/** All pods of the last swap are seen to run its copies. */
export interface ConfirmSwap {
  readonly is: 'confirm swap';
}

/** The slots of the last swap get back what they held before it; the event says why. */
export interface Undo {
  readonly is: 'undo';
  readonly patch: WorkloadPatch;
  readonly event: ObjectEvent;
}

/** A hold is written down, because somebody else has put the originals back; the event says who. */
export interface Hold {
  readonly is: 'hold';
  readonly patch: WorkloadPatch;
  readonly event: ObjectEvent;
}

/** Slots are pointed at their copies, all in one patch, so that the workload rolls out once. */
export interface Swap {
  readonly is: 'swap';
  readonly slots: readonly SlotSwap[];
  readonly patch: WorkloadPatch;
  /** Cannot wait for its turn. */
  readonly isRescue: boolean;
}

/** The originals are put back, and our annotations taken off. */
export interface Restore {
  readonly is: 'restore';
  readonly patch: WorkloadPatch;
  /**
   * What it means for the rollout budget. `awaited`: pods that serve are replaced, so the workload waits for its turn like a
   * swap. `taken`: pods are being replaced already, or do not start: waiting would help nobody, but the others wait for this
   * one. `none`: no pod is replaced now.
   */
  readonly permit: 'awaited' | 'taken' | 'none';
}

/** Our ownership of the images is given up. */
export interface ReleaseImages {
  readonly is: 'release images';
}

/** There is something to be done, but not now. */
export interface Wait {
  readonly is: 'wait';
  readonly reason: Waiting;
}

/** MODE=observe: what would be done, in clauses for the log. */
export interface Observe {
  readonly is: 'observe';
  readonly would: readonly string[];
}

/** One thing that is done for a workload. Whoever reads a list of them says of every kind what it means there. */
export type Action =
  | RecheckCopies
  | FreePod
  | ConfirmSwap
  | Undo
  | Hold
  | Swap
  | Restore
  | ReleaseImages
  | Wait
  | Observe;

const BECAUSE_OF_PODS: Readonly<Record<Action['is'], boolean>> = {
  'free pod': true,
  swap: true,
  undo: true,
  // Nobody looks at these pods again.
  'confirm swap': true,
  'recheck copies': false,
  hold: false,
  restore: false,
  'release images': false,
  wait: false,
  observe: false,
};

/** Whether something is done for good, for a reason that pods have shown. */
export function isBecauseOfPods({ is }: Action): boolean {
  return BECAUSE_OF_PODS[is];
}
