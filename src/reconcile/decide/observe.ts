import { copyRepositoryOf, type Destination } from '../../images/copy-name.ts';
import { formatReference } from '../../images/reference.ts';
import { slotKey } from '../../workloads/record.ts';
import type { AppliedPolicy } from './policy.ts';
import type { SlotPlan } from './slots/planned-slot.ts';

export interface ObservedFacts {
  readonly slots: readonly { readonly plan: SlotPlan }[];
  readonly policy: AppliedPolicy;
  readonly destination: Destination;
  /** Until then the images are left as they are, because a swap did not last. */
  readonly heldUntilMs?: number | undefined;
}

function observeSlot(
  plan: SlotPlan,
  { destination, policy, heldUntilMs }: ObservedFacts,
): string | undefined {
  const name = slotKey(plan.slot);
  if (plan.is === 'refused') {
    return `leave ${name} alone: ${plan.message}`;
  }
  if (plan.is !== 'to be backed up') {
    return undefined;
  }
  const { source } = plan.request;
  const { host, repository } = copyRepositoryOf(source, destination);
  const copy = `copy ${formatReference(source)} of ${name} to ${host}/${repository}`;
  if (policy.policy !== 'swap') {
    return copy;
  }
  return heldUntilMs === undefined
    ? `${copy} and run it from there`
    : `${copy}, and run it from there after ${new Date(heldUntilMs).toISOString()}, because a swap did not last`;
}

/** What would be done for a workload, one clause for every slot that is not as it would be; for the log. */
export function planObservation(facts: ObservedFacts): readonly string[] {
  return facts.slots.flatMap(({ plan }) => observeSlot(plan, facts) ?? []);
}
