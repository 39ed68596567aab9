import { type Clock, wait } from '../../clock.ts';
import { ConflictError, ControllerError } from '../../errors.ts';
import type { WorkloadClient, WorkloadPatch } from '../../reconcile/ports.ts';
import { planRestore } from '../../reconcile/decide/originals/restore.ts';
import type { WorkloadName } from '../../workloads/kinds.ts';
import { parseRecord } from '../../workloads/record.ts';
import { whyNotSwappable } from '../../workloads/rollout.ts';
import type { Workload } from '../../workloads/workload.ts';
import { listLost } from './restore-row.ts';

export interface RestoreDeps {
  readonly client: Pick<WorkloadClient, 'patch'>;
  /** The workload as it is now; undefined when it is gone. */
  readonly read: (workload: WorkloadName) => Promise<Workload | undefined>;
  readonly clock: Clock;
  readonly rolloutTimeoutMs: number;
  readonly pollMs: number;
}

export interface RestoreOutcome {
  readonly result:
    | 'restored'
    /** The originals are back in the template; its pods have not come up with them in time. */
    | 'not rolled out'
    | 'failed'
    /** Somebody else has put them back, or deleted the workload. */
    | 'nothing left to do';
  /** What the user should know besides; one line. */
  readonly detail?: string;
}

/** Somebody else may write the workload at the same time, an autoscaler for example; not all the time. */
const ATTEMPTS = 5;

/** Until the pods run the originals, or never will by themselves: paused, scaled to zero. */
async function waitForRollout(
  deps: RestoreDeps,
  workload: WorkloadName,
  signal: AbortSignal,
): Promise<RestoreOutcome> {
  const deadlineMs = deps.clock.monotonicMs() + deps.rolloutTimeoutMs;
  for (;;) {
    const now = await deps.read(workload);
    const why = now && whyNotSwappable(now);
    if (why !== 'rolling out') {
      return { result: 'restored', ...(why && { detail: `${why}: no pod is replaced now` }) };
    }
    if (signal.aborted || deps.clock.monotonicMs() >= deadlineMs) {
      return { result: 'not rolled out', detail: signal.aborted ? 'stopped waiting' : 'see its events' };
    }
    await wait(deps.pollMs, signal);
  }
}

/** False when somebody else has changed the workload in between. */
async function tryPatch(
  deps: RestoreDeps,
  { now, patch }: { readonly now: Workload; readonly patch: WorkloadPatch },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await deps.client.patch(now, patch, signal);
    return true;
  } catch (error) {
    if (error instanceof ConflictError) {
      return false;
    }
    throw error;
  }
}

async function putBack(
  deps: RestoreDeps,
  workload: WorkloadName,
  signal: AbortSignal,
): Promise<RestoreOutcome> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const now = await deps.read(workload);
    const patch = now && planRestore(now, parseRecord(now.annotations));
    if (!now || !patch) {
      return { result: 'nothing left to do' };
    }
    const lost = listLost(now);
    if (await tryPatch(deps, { now, patch }, signal)) {
      const outcome: RestoreOutcome =
        patch.slots.length === 0 ? { result: 'restored' } : await waitForRollout(deps, workload, signal);
      return lost.length === 0 ? outcome : { result: 'failed', detail: lost.join('; ') };
    }
  }
  return { result: 'failed', detail: 'it is changed all the time by somebody else' };
}

/** Puts the originals of one workload back and waits for its pods. Never rejects for what is wrong with one workload. */
export async function restoreOne(
  deps: RestoreDeps,
  workload: WorkloadName,
  signal: AbortSignal,
): Promise<RestoreOutcome> {
  try {
    return await putBack(deps, workload, signal);
  } catch (error) {
    if (error instanceof ControllerError) {
      return { result: 'failed', detail: error.message };
    }
    throw error;
  }
}
