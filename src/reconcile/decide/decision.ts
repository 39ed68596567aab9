import type { Destination } from '../../images/copy-name.ts';
import type { Settings } from '../../settings/settings.ts';
import type { Pod } from '../../workloads/workload.ts';
import type { ObjectEvent } from '../events/object-event.ts';
import type { Action } from './action.ts';
import type { RolloutWait } from './rollout-wait.ts';
import type { AppliedPolicy } from './policy.ts';
import type { PlannedSlot } from './slots/planned-slot.ts';
import type { SwapFacts } from './swaps/swap-failure.ts';

/** All that `decide()` knows. */
export interface WorkloadFacts extends SwapFacts {
  /** The record was found on a ReplicaSet, because the workload does not have it any more. */
  readonly isRecordLost?: boolean;
  readonly slots: readonly PlannedSlot[];
  readonly mode: Settings['MODE'];
  readonly policy: AppliedPolicy;
  readonly destination: Destination;
  /** Whether a workload follows a tag that has moved at its source (ON_SOURCE_CHANGE). */
  readonly followsTags: boolean;
  /** The user asks for another look at the copies, with a changed annotation `refresh`. */
  readonly isRefreshAsked: boolean;
  /** A rollout has ended since the workload was last looked at. */
  readonly hasJustRolledOut: boolean;
  /** True when one more workload may roll out because of us. */
  readonly isPermitFree: boolean;
  /** Why others come first; undefined when it is this workload's turn. */
  readonly rolloutWait: RolloutWait | undefined;
  /** Until when the API server is not asked again for a swap that it has refused. */
  readonly deniedUntilMs: number | undefined;
  /** PULL_SECRET, and why it cannot be used for this workload. */
  readonly pullSecret?: string | undefined;
  readonly pullSecretProblem?: ObjectEvent | undefined;
  /** Names of the `imagePullSecrets` of its pods, as far as these had to be looked at. */
  readonly podSecrets?: readonly string[];
  readonly requeueIntervalMs: number;
  /** Of nodes that could not start a pod from a copy, because nothing is copied for them. */
  readonly uncoveredPlatforms?: readonly string[];
  /** Of the nodes that its pods may come to, where a copy is for one platform only. */
  readonly nodePlatforms?: readonly string[];
  /** Pods of the workload, while it is not rolled out and they can tell why. */
  readonly pods: readonly Pod[];
  /** It has more pods than the watch of pods shows. */
  readonly hasUnseenPods?: boolean;
}

export interface Decision {
  /** What is done, in this order. */
  readonly actions: readonly Action[];
  /** What the user should know as things are now; the same as before is not told again. Undefined: that was not looked at. */
  readonly events?: readonly ObjectEvent[];
  /** When to look again if nothing is heard before; undefined: only when something changes. */
  readonly requeueAfterMs?: number;
}
