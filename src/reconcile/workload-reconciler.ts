import type { Settings } from '../settings.ts';
import { formatWorkloadKey, parseWorkloadKey } from '../workloads/kinds.ts';
import type { Workload } from '../workloads/workload.ts';
import { decide } from './decide.ts';
import type { Decision } from './decision.ts';
import type { Denials } from './denials.ts';
import { createFactGatherer } from './facts.ts';
import { News } from './news.ts';
import { ObservationLog } from './observation-log.ts';
import type { WorkloadStore } from './ports.ts';
import { restoreWorkload } from './restore-workload.ts';
import { type SwapDeps, type SwapJob, swap } from './swap.ts';

export interface WorkloadReconcilerDeps extends SwapDeps {
  readonly workloads: WorkloadStore;
  readonly settings: () => Settings;
  readonly denials: Denials;
}

/** Returns when to look again. */
async function trySwap(
  deps: WorkloadReconcilerDeps,
  job: SwapJob,
  signal: AbortSignal,
): Promise<number | undefined> {
  const result = await swap(deps, job, signal);
  if (result === 'denied') {
    deps.budget.noteFailure(formatWorkloadKey(job.workload));
    return deps.denials.note(job.workload, deps.nowMs()) - deps.nowMs();
  }
  return result === 'swapped' ? undefined : deps.settings().REQUEUE_AFTER;
}

/**
 * Brings one workload closer to its backed-up state: gather, decide, act.
 * It never waits for a copy; a settled copy puts the workload back in the queue.
 */
export function createWorkloadReconciler(deps: WorkloadReconcilerDeps) {
  const { budget, client, log } = deps;
  const facts = createFactGatherer(deps);
  const news = new News(deps.events);
  const observations = new ObservationLog(log);

  async function undoIfDecided(workload: Workload, { undo }: Decision, signal: AbortSignal): Promise<void> {
    if (undo) {
      const key = formatWorkloadKey(workload);
      await client.patch(workload, undo.patch, signal);
      log.warn({ workload: parseWorkloadKey(key), why: undo.event.note }, 'swap undone');
      deps.onSwapped(workload.kind, 'undone');
      budget.noteFailure(key);
    }
  }

  /** Returns when to look again. */
  async function carryOut(
    workload: Workload,
    decision: Decision,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const key = formatWorkloadKey(workload);
    const { events, waiting, restore, lookAgainMs } = decision;
    await undoIfDecided(workload, decision, signal);
    news.tell(workload, events);
    observations.tell(key, decision.observation);
    if (restore && !(await restoreWorkload(deps, { workload, restore }, signal))) {
      return deps.settings().REQUEUE_AFTER;
    }
    if (decision.swap) {
      return trySwap(deps, { workload, ...decision.swap }, signal);
    }
    if (waiting !== undefined && waiting === budget.findReasonToWait(workload)) {
      budget.waitForPlace(workload);
    }
    if (waiting) {
      log.debug({ workload: parseWorkloadKey(key), waiting }, 'workload waits');
    }
    return lookAgainMs;
  }

  function forget(key: string): void {
    facts.forget(key);
    deps.denials.forget(key);
    news.forget(key);
    observations.forget(key);
  }

  return async function reconcileWorkload(
    key: string,
    signal: AbortSignal,
  ): Promise<{ lookAgainMs?: number }> {
    const workload = deps.workloads.get(parseWorkloadKey(key));
    if (!workload) {
      forget(key);
      return {};
    }
    const decision = decide(await facts.gather(workload, signal));
    const lookAgainMs = await carryOut(workload, decision, signal);
    return lookAgainMs === undefined ? {} : { lookAgainMs };
  };
}
