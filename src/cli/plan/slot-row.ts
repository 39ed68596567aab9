import { formatReference, quote } from '../../images/reference.ts';
import type { CopyState, VerifiedCopy } from '../../reconcile/copies/copy-state.ts';
import {
  type CopiedSlot,
  type PlannedSlot,
  findOther,
  isCopied,
} from '../../reconcile/decide/slots/planned-slot.ts';
import { slotKey } from '../../workloads/record.ts';

/** How far a slot is; part of the JSON output, so a name is never given another meaning. */
export type SlotState =
  /** It runs from the backup. */
  | 'backed up'
  /** The copy is in the backup, the slot does not use it yet. */
  | 'copied'
  /** The copy is not in the backup, and would be made. */
  | 'to be copied'
  /** Not public, and no ready pod shows yet that the workload may read it. */
  | 'unproven'
  /** There is no copy, and none can be made as things are. */
  | 'failed'
  /** Not looked at: no reference, or of a host that may not be copied from. */
  | 'refused'
  | 'left alone'
  /** Below REGISTRY_PREFIX, and no record says what it is a copy of: looked up, and left as it is. */
  | 'unexplained'
  /** MODE says that nothing is copied, so nobody has looked. */
  | 'not looked up';

export interface SlotRow {
  /** Container name, or `volume:` and the name of an image volume. */
  readonly slot: string;
  /** What the template says now. */
  readonly image: string;
  readonly state: SlotState;
  readonly source?: string;
  /** As the template would name it. */
  readonly copy?: string;
  /** Where it would be copied from, because the source does not give it out: its former copy. */
  readonly from?: string;
  /** Why it is not as it should be. */
  readonly problem?: string;
}

function rateCopied(
  plan: CopiedSlot,
  copy: CopyState | undefined,
): Omit<SlotRow, 'slot' | 'image' | 'source'> {
  if (copy === undefined) {
    return { state: 'not looked up' };
  }
  if (copy.phase === 'pending') {
    return {
      state: 'unproven',
      problem: 'not public, and no ready pod shows yet that this workload may read it',
    };
  }
  if (copy.phase === 'failed') {
    return { state: 'failed', problem: `${copy.reason}: ${copy.message}` };
  }
  return rateVerified(plan, copy);
}

function rateVerified(plan: CopiedSlot, copy: VerifiedCopy): Omit<SlotRow, 'slot' | 'image' | 'source'> {
  const { image, copiedAtMs, movedFrom } = copy;
  const said = describeDoubt(plan, copy);
  const problem = said !== undefined && { problem: said };
  if (copiedAtMs !== undefined) {
    return {
      state: 'to be copied',
      copy: image,
      ...(movedFrom !== undefined && { from: movedFrom }),
      ...problem,
    };
  }
  return { state: plan.is === 'backed up' ? 'backed up' : 'copied', copy: image, ...problem };
}

/** Why a copy may be of no use. */
function describeDoubt(plan: CopiedSlot, copy: VerifiedCopy): string | undefined {
  const other = findOther(plan, copy);
  if (other !== undefined) {
    const what = other === '' ? 'an image that they do not tell' : quote(other);
    return `ready pods run ${what}, which is not known to be an image of this source`;
  }
  return copy.isUnseen
    ? 'the backup refuses to say what it has (see the credentials): pushing will show whether it takes the copy'
    : undefined;
}

function describeUnexplained(copy: CopyState | undefined): string {
  const known = 'below REGISTRY_PREFIX, and nothing is recorded of what it is a copy of';
  return copy?.phase === 'failed' ? `${known}; ${copy.reason}: ${copy.message}` : known;
}

/** Says how far one slot is. */
export function toSlotRow({ plan, copy }: PlannedSlot): SlotRow {
  const { slot } = plan;
  const place = { slot: slotKey(slot), image: slot.image };
  if (isCopied(plan)) {
    return { ...place, source: formatReference(plan.request.source), ...rateCopied(plan, copy) };
  }
  if (plan.is === 'unexplained') {
    return { ...place, state: 'unexplained', problem: describeUnexplained(copy) };
  }
  return plan.is === 'refused'
    ? { ...place, state: 'refused', problem: `${plan.reason}: ${plan.message}` }
    : { ...place, state: 'left alone', problem: plan.why };
}
