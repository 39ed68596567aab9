import type { Logger } from 'pino';

import { WriteDeniedError } from '../errors.ts';
import { parseReference } from '../images/reference.ts';
import { type WorkloadKind, formatWorkloadKey } from '../workloads/kinds.ts';
import { slotKey } from '../workloads/record.ts';
import type { Workload } from '../workloads/workload.ts';
import type { CopyStore } from './copy-store.ts';
import { type VerifiedSlot, isVerified } from './decide.ts';
import type { WorkloadFacts } from './decide.ts';
import type { EventRecorder, ImageRegistry, WorkloadClient, WorkloadPatch } from './ports.ts';
import type { RolloutBudget } from './rollout-budget.ts';

export interface SwapDeps {
  readonly client: WorkloadClient;
  readonly registry: Pick<ImageRegistry, 'fetchDigest'>;
  readonly copies: CopyStore;
  readonly budget: RolloutBudget;
  readonly events: EventRecorder;
  readonly log: Logger;
  readonly onSwapped: (kind: WorkloadKind, result: 'swapped' | 'denied') => void;
}

/**
 * Asks the backup itself, now: a cache must never decide that a pod is pointed at a copy. A copy that is not the one
 * of the facts any more belongs to settings that have changed since.
 */
async function isProven(deps: SwapDeps, { plan, copy }: VerifiedSlot, signal: AbortSignal): Promise<boolean> {
  if (deps.copies.get(plan.request) !== copy) {
    return false;
  }
  const digest = await deps.registry.fetchDigest(parseReference(copy.written), 'backup', signal);
  if (digest !== copy.digest) {
    deps.log.warn({ copy: copy.written }, 'copy is not in the backup any more');
    deps.copies.distrust(plan.request);
  }
  return digest === copy.digest;
}

function tellSwapped(deps: SwapDeps, workload: Workload, patch: WorkloadPatch): void {
  const { kind, namespace, name } = workload;
  const images = patch.slots.map((slot) => `${slotKey(slot)} from ${slot.image}`);
  deps.events.record(workload, {
    type: 'Normal',
    reason: 'ImageSwapped',
    action: 'SwapImage',
    note: `Runs from the backup now: ${images.join(', ')}. The annotation original-images has what was there before.`,
  });
  deps.log.info({ workload: { kind, namespace, name }, images }, 'workload swapped');
  deps.onSwapped(kind, 'swapped');
}

function tellDenied(deps: SwapDeps, workload: Workload, error: WriteDeniedError): void {
  deps.events.record(workload, {
    type: 'Warning',
    reason: 'SwapDenied',
    action: 'SwapImage',
    note:
      `The copies are in the backup, but the API server refuses to use them: ${error.message}. ` +
      'Allow the backup registry in the policy that refuses it.',
  });
  deps.onSwapped(workload.kind, 'denied');
}

async function proveAndPatch(
  deps: SwapDeps,
  job: { readonly facts: WorkloadFacts; readonly patch: WorkloadPatch },
  signal: AbortSignal,
): Promise<boolean> {
  const { workload, slots } = job.facts;
  const proofs = await Promise.all(slots.filter(isVerified).map((slot) => isProven(deps, slot, signal)));
  if (!proofs.every(Boolean)) {
    return false;
  }
  await deps.client.patch(workload, job.patch, signal);
  return true;
}

/**
 * Points a workload at its copies, if a place in the rollout budget is free and the backup still has every copy.
 * Otherwise nothing happens, and the workload is looked at again when that changes.
 *
 * @throws {ConflictError} when the workload has changed in the meantime.
 * @throws {WriteDeniedError}
 * @throws {RegistryError} when the backup cannot be asked.
 */
export async function swap(
  deps: SwapDeps,
  job: { readonly facts: WorkloadFacts; readonly patch: WorkloadPatch },
  signal: AbortSignal,
): Promise<void> {
  const { workload } = job.facts;
  const key = formatWorkloadKey(workload);
  if (!deps.budget.tryReserve(key, workload)) {
    deps.budget.waitForPlace(key);
    return;
  }
  let isSwapped = false;
  try {
    isSwapped = await proveAndPatch(deps, job, signal);
  } catch (error) {
    if (error instanceof WriteDeniedError) {
      tellDenied(deps, workload, error);
    }
    throw error;
  } finally {
    if (!isSwapped) {
      deps.budget.release(key);
    }
  }
  if (isSwapped) {
    tellSwapped(deps, workload, job.patch);
  }
}
