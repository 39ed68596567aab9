import type { Logger } from 'pino';

import { WriteDeniedError } from '../errors.ts';
import { parseReference } from '../images/reference.ts';
import { type WorkloadKind, formatWorkloadKey } from '../workloads/kinds.ts';
import { slotKey } from '../workloads/record.ts';
import type { Workload } from '../workloads/workload.ts';
import type { CopyStore } from './copy-store.ts';
import type { SlotSwap } from './decision.ts';
import type { EventRecorder, ImageRegistry, ObjectEvent, WorkloadClient, WorkloadPatch } from './ports.ts';
import { planRescuedEvent } from './rescue.ts';
import type { RolloutBudget } from './rollout-budget.ts';

export interface SwapDeps {
  readonly client: WorkloadClient;
  readonly registry: Pick<ImageRegistry, 'fetchDigest'>;
  readonly copies: CopyStore;
  readonly budget: RolloutBudget;
  readonly events: EventRecorder;
  readonly log: Logger;
  readonly nowMs: () => number;
  readonly onSwapped: (
    kind: WorkloadKind,
    result: 'swapped' | 'rescued' | 'undone' | 'denied' | 'restored',
  ) => void;
}

/** What is to be done, decided on a workload as it was read. */
export interface SwapJob {
  readonly workload: Workload;
  readonly slots: readonly SlotSwap[];
  readonly patch: WorkloadPatch;
  readonly isRescue: boolean;
}

/** `not yet`: to be tried again before long. */
export type SwapResult = 'swapped' | 'denied' | 'not yet';

/** False once the copy is another one than when the swap was decided, as after a change of the settings. */
function isUpToDate({ copies }: SwapDeps, { plan, copy }: SlotSwap): boolean {
  const state = copies.get(plan.request);
  if (state?.phase !== 'verified') {
    return false;
  }
  const moved = state.sourceChange?.is === 'moved' ? state.sourceChange.copy.written : undefined;
  return state.written === copy.written || moved === copy.written;
}

/** Asks the backup itself, now: a cache must never decide that a pod is pointed at a copy. */
async function isProven(deps: SwapDeps, slot: SlotSwap, signal: AbortSignal): Promise<boolean> {
  const { plan, copy } = slot;
  const digest = await deps.registry.fetchDigest(parseReference(copy.written), 'backup', signal);
  if (digest !== copy.digest) {
    deps.log.warn({ copy: copy.written }, 'copy is not in the backup any more');
    deps.copies.distrust(plan.request, deps.nowMs());
  }
  return digest === copy.digest && isUpToDate(deps, slot);
}

function tellSwapped(deps: SwapDeps, { workload, slots, patch, isRescue }: SwapJob): void {
  const { kind, namespace, name } = workload;
  const images = patch.slots.map((slot) => `${slotKey(slot)} from ${slot.image}`);
  const swapped: ObjectEvent = {
    type: 'Normal',
    reason: 'ImageSwapped',
    action: 'SwapImage',
    note: `Runs from the backup now: ${images.join(', ')}. The annotation original-images has what was there before.`,
  };
  const plans = slots.map(({ plan }) => plan);
  deps.events.record(workload, isRescue ? planRescuedEvent(plans, images) : swapped);
  deps.log.info({ workload: { kind, namespace, name }, images, isRescue }, 'workload swapped');
  deps.onSwapped(kind, isRescue ? 'rescued' : 'swapped');
}

function tellDenied(deps: SwapDeps, workload: Workload, error: WriteDeniedError): void {
  deps.events.record(workload, {
    type: 'Warning',
    reason: 'SwapDenied',
    action: 'SwapImage',
    note:
      `The copies are in the backup, but the API server refuses to use them: ${error.message}. ` +
      'Allow the backup registry in the policy that refuses it. It is tried again within the hour, later every time.',
  });
  deps.onSwapped(workload.kind, 'denied');
}

async function proveAndPatch(deps: SwapDeps, job: SwapJob, signal: AbortSignal): Promise<boolean> {
  const proofs = await Promise.all(job.slots.map((slot) => isProven(deps, slot, signal)));
  if (!proofs.every(Boolean)) {
    return false;
  }
  await deps.client.patch(job.workload, job.patch, signal);
  return true;
}

/**
 * Points a workload at its copies, if it is its turn and the backup still has every copy. A workload that is refused
 * has been told so.
 *
 * @throws {ConflictError} when the workload has changed in the meantime.
 * @throws {RegistryError} when the backup cannot be asked.
 */
export async function swap(deps: SwapDeps, job: SwapJob, signal: AbortSignal): Promise<SwapResult> {
  const { workload, isRescue } = job;
  const key = formatWorkloadKey(workload);
  if (!deps.budget.tryReserve(key, workload, { isUrgent: isRescue })) {
    deps.budget.waitForPlace(workload, 'swap');
    return 'not yet';
  }
  let isSwapped = false;
  try {
    isSwapped = await proveAndPatch(deps, job, signal);
  } catch (error) {
    if (!(error instanceof WriteDeniedError)) {
      throw error;
    }
    tellDenied(deps, workload, error);
    return 'denied';
  } finally {
    if (!isSwapped) {
      deps.budget.release(key);
    }
  }
  if (!isSwapped) {
    return 'not yet';
  }
  tellSwapped(deps, job);
  return 'swapped';
}
