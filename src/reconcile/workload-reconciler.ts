import type { Settings } from '../settings.ts';
import { parseWorkloadKey } from '../workloads/kinds.ts';
import { parseRecord } from '../workloads/record.ts';
import type { Workload } from '../workloads/workload.ts';
import { type WorkloadFacts, decide } from './decide.ts';
import type { WorkloadStore } from './ports.ts';
import { RunningPods } from './running-pods.ts';
import { type SlotPlan, planSlots } from './slot-plan.ts';
import { type SwapDeps, swap } from './swap.ts';

export interface WorkloadReconcilerDeps extends SwapDeps {
  readonly workloads: WorkloadStore;
  readonly settings: () => Settings;
  readonly nowMs: () => number;
}

function isToBeBackedUp(plan: SlotPlan): plan is SlotPlan & { readonly is: 'to be backed up' } {
  return plan.is === 'to be backed up';
}

function collectFacts(
  deps: WorkloadReconcilerDeps,
  workload: Workload,
  plans: readonly SlotPlan[],
): WorkloadFacts {
  return {
    workload,
    record: parseRecord(workload.annotations),
    slots: plans.map((plan) => ({
      plan,
      copy: isToBeBackedUp(plan) ? deps.copies.get(plan.request) : undefined,
    })),
    isPlaceFree: deps.budget.isFree(),
    requeueAfterMs: deps.settings().REQUEUE_AFTER,
    nowMs: deps.nowMs(),
  };
}

/**
 * Brings one workload closer to its backed-up state: gather, decide, act.
 * It never waits for a copy; a settled copy puts the workload back in the queue.
 */
export function createWorkloadReconciler(deps: WorkloadReconcilerDeps) {
  const { budget, copies, log } = deps;
  const runningPods = new RunningPods(deps.client);

  async function plan(workload: Workload, signal: AbortSignal): Promise<readonly SlotPlan[]> {
    const facts = {
      workload,
      record: parseRecord(workload.annotations),
      prefix: deps.settings().REGISTRY_PREFIX,
    };
    const plans = planSlots({ ...facts, pods: [] });
    if (!plans.some(isToBeBackedUp)) {
      return plans;
    }
    const pods = await runningPods.find(workload, { mayBeOld: !budget.isFree() }, signal);
    return pods.length === 0 ? plans : planSlots({ ...facts, pods });
  }

  async function carryOut(
    key: string,
    facts: WorkloadFacts,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { actions, waiting, lookAgainMs } = decide(facts);
    for (const action of actions) {
      if (action.kind === 'tell') {
        deps.events.record(facts.workload, action.event);
      } else {
        await swap(deps, { facts, patch: action.patch }, signal);
      }
    }
    if (waiting === 'too many rollouts') {
      budget.waitForPlace(key);
    }
    if (waiting) {
      log.debug({ workload: parseWorkloadKey(key), waiting }, 'workload waits');
    }
    return lookAgainMs;
  }

  return async function reconcileWorkload(
    key: string,
    signal: AbortSignal,
  ): Promise<{ lookAgainMs?: number }> {
    const workload = deps.workloads.get(parseWorkloadKey(key));
    const plans = workload ? await plan(workload, signal) : [];
    const wanted = plans.filter(isToBeBackedUp);
    copies.want(
      key,
      wanted.map(({ request }) => request),
    );
    if (wanted.length === 0) {
      runningPods.forget(key);
    }
    if (!workload) {
      return {};
    }
    const lookAgainMs = await carryOut(key, collectFacts(deps, workload, plans), signal);
    return lookAgainMs === undefined ? {} : { lookAgainMs };
  };
}
