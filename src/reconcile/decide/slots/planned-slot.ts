import type { Slot } from '../../../workloads/workload.ts';
import type { CopyRequest, CopyState } from '../../copies/copy-state.ts';
import type { PullFailure } from '../pods/pull-failure.ts';
import type { Report } from './running-image.ts';

/** A slot whose image has, or is to have, a copy. */
export interface CopiedSlot {
  /** `backed up`: the slot holds the copy already, which has to stay in the backup. */
  readonly is: 'to be backed up' | 'backed up';
  readonly slot: Slot;
  /** What the user wrote; while the slot holds a copy, what the record says. */
  readonly original: string;
  readonly request: CopyRequest;
  /** What Ready pods run in the slot, as the kubelet reports it, each once. */
  readonly reports?: readonly Report[];
  /** The image text that Ready pods have in the slot, where it is of another repository than the slot's: admission wrote it. */
  readonly rewritten?: string;
  /** Ready pods are there, and none of them tells what it runs in the slot. */
  readonly isUnseen?: boolean;
  /** The slot holds what its record calls a copy, and no setting says that copies were ever there. */
  readonly isOfUnknownBackup?: boolean;
  /** Nodes cannot pull the original. */
  readonly stuck?: PullFailure;
}

/**
 * A slot whose image lies below the prefix, and of which no record says what it is a copy of: the controller before this one
 * has put it there, or a person. It is looked after as it is.
 */
interface UnexplainedSlot {
  readonly is: 'unexplained';
  readonly slot: Slot;
  /** Pinned to what a ready pod runs from there. Undefined while none does: nobody is to find out by us what the backup has. */
  readonly request?: CopyRequest;
}

/** What is to be done for one slot. */
export type SlotPlan =
  | { readonly is: 'left alone'; readonly slot: Slot; readonly why: 'never pulled' | 'is a copy' | 'ignored' }
  | {
      readonly is: 'refused';
      readonly slot: Slot;
      readonly reason: 'InvalidImage' | 'SourceNotAllowed';
      readonly message: string;
    }
  | UnexplainedSlot
  | CopiedSlot;

export interface PlannedSlot {
  readonly plan: SlotPlan;
  /** Undefined for slots that need no copy. */
  readonly copy: CopyState | undefined;
}

/** Whether the plan is about a copy. */
export function isCopied(plan: SlotPlan): plan is CopiedSlot {
  return plan.is === 'to be backed up' || plan.is === 'backed up';
}

/** What has to be in the backup for a slot; undefined when nothing has to. */
export function findRequest(plan: SlotPlan): CopyRequest | undefined {
  return isCopied(plan) || plan.is === 'unexplained' ? plan.request : undefined;
}

/**
 * What Ready pods run in a slot that is not what its copy holds, or cannot be told to be: a swap might change what runs.
 * Empty when no pod tells. Undefined while nothing is known of the copy.
 */
export function findOther(
  { is, reports = [], isUnseen: isSilent = false }: CopiedSlot,
  copy: CopyState | undefined,
): string | undefined {
  if (copy?.phase !== 'verified') {
    return undefined;
  }
  const { unlike = [] } = copy;
  // A copy that was loaded into a node is still the copy.
  const isOther = ({ digest }: Report): boolean =>
    digest === undefined ? is === 'to be backed up' : unlike.includes(digest);
  return reports.find(isOther)?.imageId ?? (isSilent && is === 'to be backed up' ? '' : undefined);
}
