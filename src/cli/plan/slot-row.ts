import { formatReference, quote } from '../../images/reference.ts';
import type { CopyState } from '../../reconcile/copies/copy-state.ts';
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
  /** Why it is not as it should be. */
  readonly problem?: string;
}

function rateCopied(
  plan: CopiedSlot,
  copy: CopyState | undefined,
): Pick<SlotRow, 'state' | 'copy' | 'problem'> {
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
  const { image } = copy;
  const other = findOther(plan, copy);
  const said =
    other === undefined
      ? copy.isUnseen &&
        'the backup refuses to say what it has (see the credentials): pushing will show whether it takes the copy'
      : `ready pods run ${other === '' ? 'an image that they do not tell' : quote(other)}, which is not known to be an image of this source`;
  const problem = said && { problem: said };
  if (copy.copiedAtMs !== undefined) {
    return { state: 'to be copied', copy: image, ...problem };
  }
  return { state: plan.is === 'backed up' ? 'backed up' : 'copied', copy: image, ...problem };
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
