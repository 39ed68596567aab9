import type { Logger } from 'pino';

import { formatWorkloadKey } from '../../workloads/kinds.ts';
import { slotKey } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { Hold, Undo } from '../decide/action.ts';
import type { EventRecorder, WorkloadClient } from '../ports.ts';
import type { RolloutBudget } from '../rollouts/rollout-budget.ts';
import type { OnSwapped } from './swap-result.ts';

export interface PutBackDeps {
  readonly client: Pick<WorkloadClient, 'patch'>;
  readonly budget: Pick<RolloutBudget, 'noteFailure'>;
  readonly events: EventRecorder;
  readonly log: Pick<Logger, 'warn'>;
  readonly onSwapped: OnSwapped;
}

async function write(
  { client, events, log }: PutBackDeps,
  job: { readonly workload: Workload; readonly action: Undo | Hold; readonly what: string },
  signal: AbortSignal,
): Promise<void> {
  const { workload, action, what } = job;
  const { kind, namespace, name } = workload;
  await client.patch(workload, action.patch, signal);
  log.warn({ workload: { kind, namespace, name }, why: action.event.note }, what);
  events.record(workload, action.event);
}

/**
 * Puts back what a swap has changed.
 *
 * @throws {ConflictError} when the workload has changed in the meantime.
 * @throws {WriteDeniedError}
 */
export async function undoSwap(
  deps: PutBackDeps,
  { workload, action }: { readonly workload: Workload; readonly action: Undo },
  signal: AbortSignal,
): Promise<void> {
  await write(deps, { workload, action, what: 'swap undone' }, signal);
  deps.onSwapped(workload.kind, 'undone');
  const undone = new Set(action.patch.slots.map(slotKey));
  const images = workload.slots.filter((slot) => undone.has(slotKey(slot))).map(({ image }) => image);
  deps.budget.noteFailure(formatWorkloadKey(workload), images);
}

/**
 * Writes down that a workload stays as somebody else has put it back.
 *
 * @throws {ConflictError} when the workload has changed in the meantime.
 * @throws {WriteDeniedError}
 */
export async function holdWorkload(
  deps: PutBackDeps,
  { workload, action }: { readonly workload: Workload; readonly action: Hold },
  signal: AbortSignal,
): Promise<void> {
  await write(deps, { workload, action, what: 'swap reverted, workload held' }, signal);
}
