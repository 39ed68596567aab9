import type { Logger } from 'pino';

import { RegistryError, WriteDeniedError } from '../../errors.ts';
import { parseReference } from '../../images/reference.ts';
import { formatWorkloadKey } from '../../workloads/kinds.ts';
import { slotKey } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { CopyStore } from '../copies/copy-store.ts';
import { explainChangedImage } from '../decide/swaps/changed-image.ts';
import type { SlotSwap, Swap } from '../decide/action.ts';
import { createEvent } from '../events/create-event.ts';
import type { EventRecorder, ImageRegistry, WorkloadClient } from '../ports.ts';
import type { OnSwapped } from './swap-result.ts';
import type { SwapPullSecrets } from '../pull-secrets/pull-secrets.ts';
import { planRescuedEvent } from '../decide/swaps/rescue.ts';
import type { RolloutBudget } from '../rollouts/rollout-budget.ts';

export interface SwapDeps {
  readonly client: Pick<WorkloadClient, 'dryRunPatch' | 'patch'>;
  readonly registry: Pick<ImageRegistry, 'fetchDigest' | 'isPrivate'>;
  readonly copies: Pick<CopyStore, 'get' | 'distrust' | 'refute'>;
  readonly budget: Pick<RolloutBudget, 'tryReserve' | 'waitForPermit' | 'release' | 'noteSwapped'>;
  readonly pullSecrets: SwapPullSecrets;
  readonly events: EventRecorder;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  readonly nowMs: () => number;
  readonly onSwapped: OnSwapped;
}

/** What was decided on a workload as it was read. */
export interface SwapJob {
  readonly workload: Workload;
  readonly swap: Swap;
}

/** `not yet`: to be tried again before long. */
export type SwapResult = 'swapped' | 'denied' | 'not yet';

/** False once the copy is another one than when the swap was decided, as after a change of the settings. */
function isUpToDate({ copies }: SwapDeps, { plan, copy }: SlotSwap): boolean {
  const state = copies.get(plan.request);
  if (state?.phase !== 'verified') {
    return false;
  }
  const moved = state.sourceChange?.is === 'moved' ? state.sourceChange.copy.image : undefined;
  return state.image === copy.image || moved === copy.image;
}

/** Its digest; `kept back`: the backup has the copy and does not give it out to anybody, so that pods could not pull it either. */
async function lookUp(
  deps: SwapDeps,
  { plan, copy }: SlotSwap,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return await deps.registry.fetchDigest(parseReference(copy.image), 'backup', signal);
  } catch (error) {
    if (!(error instanceof RegistryError) || error.reason !== 'Unsupported') {
      throw error;
    }
    deps.copies.refute(plan.request, error, deps.nowMs());
    return 'kept back';
  }
}

/** Asks the backup itself, now: a cache must never decide that a pod is pointed at a copy. */
async function isProven(deps: SwapDeps, slot: SlotSwap, signal: AbortSignal): Promise<boolean> {
  const { plan, copy } = slot;
  const digest = await lookUp(deps, slot, signal);
  if (digest === 'kept back') {
    return false;
  }
  if (digest !== copy.digest) {
    deps.log.warn({ copy: copy.image }, 'copy is not in the backup any more');
    deps.copies.distrust(plan.request, deps.nowMs());
  }
  return digest === copy.digest && isUpToDate(deps, slot);
}

const HINT =
  ' The backup registry gives this copy only to those who log in, and the template has no imagePullSecrets: the service ' +
  'account or the nodes need credentials, or PULL_SECRET has to be set.';

/** True when the nodes need credentials that the template does not show: they may have them all the same. */
async function mayLackCredentials(deps: SwapDeps, job: SwapJob, signal: AbortSignal): Promise<boolean> {
  const [first] = job.swap.slots;
  if (!first || deps.pullSecrets.wanted !== undefined || job.workload.pullSecrets.length > 0) {
    return false;
  }
  try {
    return await deps.registry.isPrivate(parseReference(first.copy.image), 'backup', signal);
  } catch (error) {
    if (error instanceof RegistryError) {
      return false;
    }
    throw error;
  }
}

function recordSwapped(
  deps: SwapDeps,
  { workload, swap: { slots, patch, isRescue } }: SwapJob,
  hint: string,
): void {
  const { kind, namespace, name } = workload;
  const images = patch.slots.map((slot) => `${slotKey(slot)} from ${slot.image}`);
  const note = `Runs from the backup now: ${images.join(', ')}. The annotation original-images has what was there before.${hint}`;
  const plans = slots.map(({ plan }) => plan);
  deps.events.record(
    workload,
    isRescue ? planRescuedEvent(plans, images) : createEvent('ImageSwapped', note),
  );
  deps.log.info({ workload: { kind, namespace, name }, images, isRescue }, 'workload swapped');
  deps.onSwapped(kind, isRescue ? 'rescued' : 'swapped');
}

function recordSwapDenied(deps: SwapDeps, workload: Workload, error: WriteDeniedError): void {
  const why = error.isFull
    ? `the annotations of the workload have no room for its original images: ${error.message}. Remove some that are not needed.`
    : `admission does not let them be used: ${error.message}. Let the policy or webhook leave images of the backup registry as they are.`;
  const note = `Not swapped, the pods go on as they are. The copies are in the backup, but ${why} It is tried again within the hour.`;
  deps.events.record(workload, createEvent('SwapDenied', note));
  deps.onSwapped(workload.kind, 'denied');
}

/** True when the workload will find its pull secret, or needs none. One that may not be handed out was told. */
async function preparePullSecret(
  deps: SwapDeps,
  { workload }: SwapJob,
  signal: AbortSignal,
): Promise<boolean> {
  if (deps.pullSecrets.findProblem(workload)) {
    return true;
  }
  try {
    await deps.pullSecrets.prepare(workload, signal);
    return true;
  } catch (error) {
    if (error instanceof WriteDeniedError) {
      return false;
    }
    throw error;
  }
}

/** @throws {WriteDeniedError} when admission would refuse the patch, or change its images. */
async function dryRun(
  deps: SwapDeps,
  { workload, swap: { patch, slots } }: SwapJob,
  signal: AbortSignal,
): Promise<void> {
  const preview = await deps.client.dryRunPatch(workload, patch, signal);
  const plans = slots.map(({ plan }) => plan);
  const change = explainChangedImage(patch, preview, plans);
  if (change !== undefined) {
    throw new WriteDeniedError(change);
  }
}

/** False when the API server refuses the request, or would refuse it: the workload was told so. */
async function isAllowed(deps: SwapDeps, workload: Workload, request: Promise<void>): Promise<boolean> {
  try {
    await request;
    return true;
  } catch (error) {
    if (!(error instanceof WriteDeniedError)) {
      throw error;
    }
    recordSwapDenied(deps, workload, error);
    return false;
  }
}

async function proveAndPatch(deps: SwapDeps, job: SwapJob, signal: AbortSignal): Promise<SwapResult> {
  const {
    workload,
    swap: { patch, slots },
  } = job;
  // Before the proof, so that as little as possible happens between that and the patch.
  if (!(await isAllowed(deps, workload, dryRun(deps, job, signal)))) {
    return 'denied';
  }
  const proofs = await Promise.all(slots.map((slot) => isProven(deps, slot, signal)));
  if (!proofs.every(Boolean)) {
    return 'not yet';
  }
  const isHintNeeded = await mayLackCredentials(deps, job, signal);
  if (!(await preparePullSecret(deps, job, signal))) {
    return 'not yet';
  }
  if (!(await isAllowed(deps, workload, deps.client.patch(workload, patch, signal)))) {
    return 'denied';
  }
  deps.budget.noteSwapped(
    formatWorkloadKey(workload),
    patch.slots.map(({ image }) => image),
  );
  recordSwapped(deps, job, isHintNeeded ? HINT : '');
  return 'swapped';
}

/**
 * Points a workload at its copies, if it is its turn and the backup still has every copy. A workload that is refused
 * has been told so.
 *
 * @throws {ConflictError} when the workload has changed in the meantime.
 * @throws {RegistryError} when the backup cannot be asked.
 */
export async function swap(deps: SwapDeps, job: SwapJob, signal: AbortSignal): Promise<SwapResult> {
  const {
    workload,
    swap: { isRescue },
  } = job;
  const key = formatWorkloadKey(workload);
  if (!deps.budget.tryReserve(key, workload, { isUrgent: isRescue })) {
    deps.budget.waitForPermit(workload, 'swap');
    return 'not yet';
  }
  let result: SwapResult = 'not yet';
  try {
    result = await proveAndPatch(deps, job, signal);
    return result;
  } finally {
    if (result !== 'swapped') {
      deps.budget.release(key);
    }
  }
}
