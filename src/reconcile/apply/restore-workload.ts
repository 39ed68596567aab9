import type { Logger } from 'pino';

import { WriteDeniedError } from '../../errors.ts';
import { formatWorkloadKey } from '../../workloads/kinds.ts';
import { slotKey } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { Restore } from '../decide/action.ts';
import { createEvent } from '../events/create-event.ts';
import type { EventRecorder, WorkloadClient } from '../ports.ts';
import type { RolloutBudget } from '../rollouts/rollout-budget.ts';
import type { OnSwapped } from './swap-result.ts';

export interface RestoreDeps {
  readonly client: Pick<WorkloadClient, 'patch'>;
  readonly budget: Pick<RolloutBudget, 'isFree' | 'waitForPermit' | 'reserve' | 'release'>;
  readonly events: EventRecorder;
  readonly log: Pick<Logger, 'info'>;
  readonly onSwapped: OnSwapped;
}

export interface RestoreJob {
  readonly workload: Workload;
  readonly restore: Restore;
}

function recordRestored(deps: RestoreDeps, { workload, restore }: RestoreJob): void {
  const { kind, namespace, name } = workload;
  const images = restore.patch.slots.map((slot) => `${slotKey(slot)} from ${slot.image}`);
  deps.log.info({ workload: { kind, namespace, name }, images }, 'workload restored');
  if (images.length > 0) {
    const note = `Runs from the originals again, because MODE is restore: ${images.join(', ')}.`;
    deps.events.record(workload, createEvent('ImageRestored', note));
    deps.onSwapped(kind, 'restored');
  }
}

function recordRestoreDenied(deps: RestoreDeps, workload: Workload, error: WriteDeniedError): void {
  const note =
    `The originals cannot be put back, because the API server refuses them: ${error.message}. ` +
    'Allow them in the policy that refuses them; it is tried again by itself.';
  deps.events.record(workload, createEvent('RestoreDenied', note));
  deps.onSwapped(workload.kind, 'denied');
}

/**
 * Puts the originals of a workload back, if the rollout budget has the permit that it needs. Returns whether that has
 * happened. Asks no registry.
 *
 * @throws {ConflictError} when the workload has changed in the meantime.
 * @throws {WriteDeniedError}
 */
export async function restoreWorkload(
  deps: RestoreDeps,
  job: RestoreJob,
  signal: AbortSignal,
): Promise<boolean> {
  const { workload, restore } = job;
  const key = formatWorkloadKey(workload);
  if (restore.permit === 'awaited' && !deps.budget.isFree(workload)) {
    deps.budget.waitForPermit(workload, 'restore');
    return false;
  }
  if (restore.permit !== 'none') {
    deps.budget.reserve(key, workload, { isUrgent: restore.permit === 'taken' });
  }
  try {
    await deps.client.patch(workload, restore.patch, signal);
  } catch (error) {
    deps.budget.release(key);
    if (error instanceof WriteDeniedError) {
      recordRestoreDenied(deps, workload, error);
    }
    throw error;
  }
  recordRestored(deps, job);
  return true;
}
