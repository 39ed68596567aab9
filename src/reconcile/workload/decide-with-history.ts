import { FIELD_MANAGER } from '../../workloads/image-owner.ts';
import type { Workload } from '../../workloads/workload.ts';
import { decide } from '../decide/decide.ts';
import type { Decision, WorkloadFacts } from '../decide/decision.ts';
import { findFormerRecord } from '../decide/originals/former-record.ts';
import type { WorkloadClient } from '../ports.ts';

/** Only a later revision of a Deployment, written by somebody else, can be an older one that has come back. */
function mayHaveLostRecord({ kind, rollout, imageOwners = [] }: Workload): boolean {
  const [newest] = imageOwners;
  return (
    kind === 'Deployment' &&
    rollout.generation > 1 &&
    newest !== undefined &&
    newest.manager !== FIELD_MANAGER
  );
}

/**
 * Decides, and before a swap asks whether it would undo what somebody has just done: going back to an older revision of
 * a Deployment takes our record off it. One list of ReplicaSets, for swaps that are about to be made only.
 */
export async function decideWithHistory(
  client: Pick<WorkloadClient, 'listFormerTemplates'>,
  facts: WorkloadFacts,
  signal: AbortSignal,
): Promise<Decision> {
  const decision = decide(facts);
  const isSwap = decision.actions.some((action) => action.is === 'swap' && !action.isRescue);
  if (!isSwap || !mayHaveLostRecord(facts.workload)) {
    return decision;
  }
  const formers = await client.listFormerTemplates(facts.workload, signal);
  const record = findFormerRecord(facts, formers);
  return record ? decide({ ...facts, record, isRecordLost: true }) : decision;
}
