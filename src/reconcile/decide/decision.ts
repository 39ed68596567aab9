import type { Destination } from '../../images/copy-name.ts';
import type { Settings } from '../../settings/settings.ts';
import type { NotSwappable } from '../../workloads/rollout.ts';
import type { Pod } from '../../workloads/workload.ts';
import type { Copy } from '../copies/copy-state.ts';
import type { Restore } from './originals/decide-restore.ts';
import type { PaceReason } from '../rollouts/pace.ts';
import type { AppliedPolicy } from './policy.ts';
import type { ObjectEvent, WorkloadPatch } from '../ports.ts';
import type { CopiedSlot, PlannedSlot } from './slots/slot-plan.ts';
import type { SwapFacts } from './swaps/swap-failure.ts';
import type { Undo } from './originals/undo.ts';

/** All that `decide()` knows. */
export interface WorkloadFacts extends SwapFacts {
  /** The record was found on a ReplicaSet, because the workload does not bear it any more. */
  readonly isRecordLost?: boolean;
  readonly slots: readonly PlannedSlot[];
  readonly mode: Settings['MODE'];
  readonly policy: AppliedPolicy;
  readonly destination: Destination;
  /** Whether a workload follows a tag that has moved at its source (ON_SOURCE_CHANGE). */
  readonly followsTags: boolean;
  /** True when one more workload may roll out because of us. */
  readonly isPlaceFree: boolean;
  /** Why others come first; undefined when it is this workload's turn. */
  readonly pace: PaceReason | undefined;
  /** Until when the API server is not asked again for a swap that it has refused. */
  readonly deniedUntilMs: number | undefined;
  /** PULL_SECRET, and why it cannot be used for this workload. */
  readonly pullSecret?: string | undefined;
  readonly pullSecretProblem?: ObjectEvent | undefined;
  /** Names of the `imagePullSecrets` of its pods, as far as these had to be looked at. */
  readonly podSecrets?: readonly string[];
  readonly requeueAfterMs: number;
  /** Of nodes that could not start a pod from a copy, because nothing is copied for them. */
  readonly foreignPlatforms?: readonly string[];
  /** Of the nodes that its pods may come to, where a copy is for one platform only. */
  readonly nodePlatforms?: readonly string[];
  /** Pods of the workload, while it is not rolled out and they can tell why. */
  readonly pods: readonly Pod[];
}

/** A slot, and the verified copy that it is to hold. */
export interface SlotSwap {
  readonly plan: CopiedSlot;
  readonly copy: Copy;
}

/** Why nothing is swapped now, in the words of the log; undefined when there is nothing left to do. */
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
  | PaceReason;

export interface Decision {
  /** What the user should know now; the same as before is not told again. */
  readonly events: readonly ObjectEvent[];
  readonly undo?: Undo;
  /** Writes a hold down, because somebody else has put the originals back. */
  readonly hold?: Pick<Undo, 'patch' | 'event'>;
  /** Our ownership of the images is to be given up. */
  readonly release?: true;
  readonly swap?: {
    readonly slots: readonly SlotSwap[];
    readonly patch: WorkloadPatch;
    /** Cannot wait for its turn. */
    readonly isRescue: boolean;
  };
  readonly restore?: Restore;
  /** All pods of the last swap run its copies. */
  readonly succeeded?: true;
  /** What would be done if MODE allowed it, in clauses for the log. */
  readonly observation?: readonly string[];
  readonly waiting?: Waiting;
  /** When to look again if nothing is heard before; undefined: only when something changes. */
  readonly lookAgainMs?: number;
}
