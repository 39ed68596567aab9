import { formatReference } from '../../../images/reference.ts';
import { slotKey } from '../../../workloads/record.ts';
import type { Pod, Slot } from '../../../workloads/workload.ts';
import type { CopyState, VerifiedCopy } from '../../copies/copy-state.ts';
import { createEvent } from '../../events/create-event.ts';
import type { ObjectEvent } from '../../events/object-event.ts';
import type { PullFailure } from '../pods/pull-failure.ts';
import { type CopiedSlot, type SlotPlan, findOther, isCopied } from '../slots/planned-slot.ts';

export interface RescueFacts {
  readonly plan: SlotPlan;
  readonly copy: CopyState | undefined;
  /** Digests that Ready pods run. */
  readonly running: ReadonlySet<string>;
}

/** What Ready pods run: nobody has to be kept from reading that. */
export function listRunningDigests(pods: readonly Pod[]): ReadonlySet<string> {
  const containers = pods.filter(({ ready }) => ready).flatMap((pod) => pod.containers);
  return new Set(containers.map(({ imageId }) => imageId.slice(imageId.indexOf('@') + 1)));
}

/**
 * Whoever writes a workload must not get an image out of the backup that they could not pull from its source: it has
 * to be one that everybody could, or one that pods of the workload run.
 */
function mayRead(copy: VerifiedCopy, running: ReadonlySet<string>): boolean {
  return copy.isPublic === true || copy.isShown === true || running.has(copy.digest);
}

/** True for a slot whose original the nodes cannot pull. */
export function needsRescue(plan: SlotPlan): boolean {
  return isCopied(plan) && plan.stuck !== undefined;
}

/** The copy for a slot whose original the nodes cannot pull; undefined when there is none that it may have. */
export function findRescue({ plan, copy, running }: RescueFacts): VerifiedCopy | undefined {
  const isSure = isCopied(plan) && plan.stuck !== undefined && findOther(plan, copy) === undefined;
  return isSure && copy?.phase === 'verified' && mayRead(copy, running) ? copy : undefined;
}

const LONGEST_QUOTE = 600;

function explain(slot: Slot, { reason, message }: PullFailure): string {
  return `The original of ${slotKey(slot)} cannot be pulled (${reason}: ${message.slice(0, LONGEST_QUOTE)})`;
}

/** What the user should know of a slot that could be rescued, if only it were known who may read its image. */
export function planRescueEvents({ plan, copy, running }: RescueFacts): readonly ObjectEvent[] {
  // What ready pods run instead is told anyway.
  const isOther = isCopied(plan) && findOther(plan, copy) !== undefined;
  if (!isCopied(plan) || !plan.stuck || copy?.phase !== 'verified' || isOther || mayRead(copy, running)) {
    return [];
  }
  const note =
    `${explain(plan.slot, plan.stuck)}, and the backup has it. But ${formatReference(plan.request.source)} is not known ` +
    'to be public, and no ready pod shows that this workload may read it. ' +
    `If it may, write ${copy.image} into the template.`;
  return [createEvent('NotRescued', note)];
}

/** Says that workloads run on although their source is not to be had: time to look what has become of it. */
export function planRescuedEvent(plans: readonly CopiedSlot[], images: readonly string[]): ObjectEvent {
  const reasons = plans.flatMap(({ slot, stuck }) => (stuck ? [explain(slot, stuck)] : []));
  const note = `${reasons.join('. ')}. Runs from the backup now: ${images.join(', ')}. See what has become of the source.`;
  return createEvent('Rescued', note);
}
