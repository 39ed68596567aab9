import type { Settings } from '../../settings/settings.ts';
import { formatWorkloadKey, parseWorkloadKey } from '../../workloads/kinds.ts';
import { parseRecord } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';
import { decideWithHistory } from './decide-with-history.ts';
import type { Decision } from '../decide/decision.ts';
import type { Denials } from './denials.ts';
import { createFactGatherer } from './facts.ts';
import type { FinishedRollouts } from './finished-rollouts.ts';
import type { MissingPods } from './missing-pods.ts';
import { News } from './news.ts';
import { ObservationLog } from './observation-log.ts';
import { isPaceReason } from '../rollouts/pace.ts';
import type { WorkloadStore } from '../ports.ts';
import { releaseImages } from '../apply/release-images.ts';
import { restoreWorkload } from '../apply/restore-workload.ts';
import { freeStuckPods } from '../apply/free-stuck-pods.ts';
import type { SwapSuccesses } from './swap-successes.ts';
import { type SwapDeps, type SwapJob, swap } from '../apply/swap.ts';

export interface WorkloadReconcilerDeps extends SwapDeps {
  readonly workloads: WorkloadStore;
  readonly settings: () => Settings;
  readonly denials: Denials;
  readonly missingPods: Pick<MissingPods, 'findSinceMs'>;
  readonly finishedRollouts: Pick<FinishedRollouts, 'take'>;
  readonly successes: SwapSuccesses;
}

/** Returns when to look again. */
async function trySwap(
  deps: WorkloadReconcilerDeps,
  job: SwapJob,
  signal: AbortSignal,
): Promise<number | undefined> {
  const result = await swap(deps, job, signal);
  if (result === 'denied') {
    return deps.denials.note(job.workload, deps.nowMs()) - deps.nowMs();
  }
  return result === 'swapped' ? undefined : deps.settings().REQUEUE_AFTER;
}

/** Puts back what a swap has changed, or lets it stay put back, as decided. */
async function stepBack(
  deps: WorkloadReconcilerDeps,
  workload: Workload,
  { decision: { undo, hold }, signal }: { readonly decision: Decision; readonly signal: AbortSignal },
): Promise<void> {
  const { kind, namespace, name } = workload;
  const write = undo ?? hold;
  if (!write) {
    return;
  }
  await deps.client.patch(workload, write.patch, signal);
  const what = undo ? 'swap undone' : 'swap reverted, workload held';
  deps.log.warn({ workload: { kind, namespace, name }, why: write.event.note }, what);
  if (undo) {
    deps.onSwapped(kind, 'undone');
    deps.budget.noteFailure(formatWorkloadKey(workload));
  }
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

  /** Returns when to look again. */
  async function carryOut(
    workload: Workload,
    decision: Decision,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const key = formatWorkloadKey(workload);
    const { events, waiting, restore, lookAgainMs } = decision;
    if (decision.succeeded) {
      deps.successes.note(workload, parseRecord(workload.annotations), deps.nowMs());
      budget.noteSuccess(key, workload);
    }
    await stepBack(deps, workload, { decision, signal });
    news.tell(workload, events);
    observations.tell(key, decision.observation);
    if (restore && !(await restoreWorkload(deps, { workload, restore }, signal))) {
      return deps.settings().REQUEUE_AFTER;
    }
    if (decision.swap) {
      return trySwap(deps, { workload, ...decision.swap }, signal);
    }
    if (decision.release) {
      await releaseImages(deps, workload, signal);
    }
    if (isPaceReason(waiting)) {
      budget.waitForPlace(workload, deps.settings().MODE === 'restore' ? 'restore' : 'swap');
    }
    if (waiting) {
      log.debug({ workload: parseWorkloadKey(key), waiting }, 'workload waits');
    }
    return lookAgainMs;
  }

  function forget(key: string): void {
    facts.forget(key);
    deps.denials.forget(key);
    deps.successes.forget(key);
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
    const gathered = await facts.gather(workload, signal);
    await freeStuckPods(deps, { ...gathered, prefix: gathered.destination.prefix }, signal);
    const decision = await decideWithHistory(client, gathered, signal);
    const lookAgainMs = await carryOut(workload, decision, signal);
    return lookAgainMs === undefined ? {} : { lookAgainMs };
  };
}
