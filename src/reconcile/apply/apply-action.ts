import type { Logger } from 'pino';

import type { Settings } from '../../settings/settings.ts';
import { formatWorkloadKey } from '../../workloads/kinds.ts';
import { parseRecord } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { CopyStore } from '../copies/copy-store.ts';
import type { Action, RecheckCopies, Restore, Swap, Waiting } from '../decide/action.ts';
import { isRolloutWait } from '../decide/rollout-wait.ts';
import type { WorkloadClient } from '../ports.ts';
import type { RolloutBudget } from '../rollouts/rollout-budget.ts';
import { noteDenial } from '../memory/denial.ts';
import { noteRecord } from '../memory/last-record.ts';
import type { WorkloadMemory } from '../memory/workload-memory.ts';
import { freePod } from './free-pod.ts';
import { logObservation } from './log-observation.ts';
import { holdWorkload, undoSwap } from './put-back.ts';
import { releaseImages } from './release-images.ts';
import { restoreWorkload } from './restore-workload.ts';
import { type SwapDeps, swap } from './swap.ts';

export interface ApplyDeps extends SwapDeps {
  readonly client: Pick<WorkloadClient, 'dryRunPatch' | 'patch' | 'patchPod' | 'releaseImages'>;
  readonly copies: Pick<CopyStore, 'get' | 'distrust' | 'refute' | 'recheck'>;
  readonly budget: RolloutBudget;
  readonly settings: () => Settings;
  readonly log: Logger;
}

/** One action for one workload, as it was when that was decided. */
export interface Job<A extends Action = Action> {
  readonly workload: Workload;
  readonly memory: WorkloadMemory;
  readonly action: A;
}

function recheckCopies({ copies }: ApplyDeps, { requests }: RecheckCopies): void {
  for (const request of requests) {
    copies.recheck(request);
  }
}

function confirmSwap({ budget, nowMs }: ApplyDeps, { workload, memory }: Job): void {
  const { swappedAtMs } = parseRecord(workload.annotations);
  memory.seenSwap = { swappedAtMs, seenAtMs: nowMs() };
  budget.noteSuccess(formatWorkloadKey(workload), workload);
}

async function applySwap(
  deps: ApplyDeps,
  { workload, memory, action }: Job<Swap>,
  signal: AbortSignal,
): Promise<number | undefined> {
  const result = await swap(deps, { workload, swap: action }, signal);
  if (result === 'swapped') {
    noteRecord(memory, workload, action.patch.annotations);
  }
  if (result === 'denied') {
    const nowMs = deps.nowMs();
    return noteDenial(memory, workload, nowMs) - nowMs;
  }
  return result === 'swapped' ? undefined : deps.settings().REQUEUE_AFTER;
}

async function applyRestore(
  deps: ApplyDeps,
  { workload, memory, action }: Job<Restore>,
  signal: AbortSignal,
): Promise<number | undefined> {
  memory.lastRecord = undefined;
  const isDone = await restoreWorkload(deps, { workload, restore: action }, signal);
  return isDone ? undefined : deps.settings().REQUEUE_AFTER;
}

function applyWait({ budget, settings, log }: ApplyDeps, workload: Workload, waiting: Waiting): void {
  const { kind, namespace, name } = workload;
  if (isRolloutWait(waiting)) {
    budget.waitForPermit(workload, settings().MODE === 'restore' ? 'restore' : 'swap');
  } else {
    budget.withdraw(workload);
  }
  log.debug({ workload: { kind, namespace, name }, waiting }, 'workload waits');
}

/**
 * Does one thing for a workload: the only place that does. Returns when to look again because of it; undefined: as was
 * decided.
 *
 * @throws {ConflictError} when the workload, or the pod, has changed in the meantime.
 * @throws {WriteDeniedError} for an undo, a hold or a restore; a swap that is refused has been told.
 * @throws {RegistryError} when the backup cannot be asked before a swap.
 */
export async function applyAction(
  deps: ApplyDeps,
  { workload, memory, action }: Job,
  signal: AbortSignal,
): Promise<number | undefined> {
  switch (action.is) {
    case 'recheck copies':
      recheckCopies(deps, action);
      break;
    case 'free pod':
      await freePod(deps, { workload, memory, patch: action.patch }, signal);
      break;
    case 'confirm swap':
      confirmSwap(deps, { workload, memory, action });
      break;
    case 'undo':
      await undoSwap(deps, { workload, action }, signal);
      break;
    case 'hold':
      await holdWorkload(deps, { workload, action }, signal);
      noteRecord(memory, workload, action.patch.annotations);
      break;
    case 'swap':
      return applySwap(deps, { workload, memory, action }, signal);
    case 'restore':
      return applyRestore(deps, { workload, memory, action }, signal);
    case 'release images':
      await releaseImages(deps, workload, signal);
      break;
    case 'wait':
      applyWait(deps, workload, action.reason);
      break;
    case 'observe':
      logObservation({ log: deps.log, memory }, workload, action.would);
      break;
  }
  return undefined;
}
