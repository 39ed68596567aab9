import { listForeignPlatforms } from '../images/platforms.ts';
import type { Settings } from '../settings.ts';
import { parseWorkloadKey } from '../workloads/kinds.ts';
import { parseRecord } from '../workloads/record.ts';
import type { Pod, Workload } from '../workloads/workload.ts';
import { type Decision, type WorkloadFacts, decide } from './decide.ts';
import { News } from './news.ts';
import { ObservationLog } from './observation-log.ts';
import { type AppliedPolicy, findPolicy } from './policy.ts';
import type { WorkloadStore } from './ports.ts';
import { Refreshes } from './refreshes.ts';
import { restoreWorkload } from './restore-workload.ts';
import { RunningPods } from './running-pods.ts';
import { type CopiedSlot, type SlotPlan, isCopied, planSlots } from './slot-plan.ts';
import { type SwapDeps, swap } from './swap.ts';
import { isSwapInFlight } from './undo.ts';

export interface WorkloadReconcilerDeps extends SwapDeps {
  readonly workloads: WorkloadStore;
  readonly settings: () => Settings;
}

function policyOf(deps: WorkloadReconcilerDeps, workload: Workload): AppliedPolicy {
  return findPolicy(workload, deps.workloads.findNamespacePolicy(workload.namespace));
}

/** False while nothing is to be copied or looked up, in whatever state the workloads are. */
function makesCopies(deps: WorkloadReconcilerDeps): boolean {
  const { MODE: mode } = deps.settings();
  return mode === 'swap' || mode === 'copy';
}

function planAll(
  deps: WorkloadReconcilerDeps,
  workload: Workload,
  pods: readonly Pod[],
): readonly SlotPlan[] {
  const { REGISTRY_PREFIX: prefix, NAMING: naming, SOURCE_HOSTS: sourceHosts } = deps.settings();
  return planSlots({
    workload,
    record: parseRecord(workload.annotations),
    policy: policyOf(deps, workload),
    pods,
    prefix,
    naming,
    sourceHosts,
  });
}

function collectFacts(
  deps: WorkloadReconcilerDeps,
  workload: Workload,
  read: { readonly plans: readonly SlotPlan[] } & Pick<WorkloadFacts, 'pods' | 'foreignPlatforms'>,
): WorkloadFacts {
  const { plans, ...others } = read;
  const { MODE: mode, REGISTRY_PREFIX: prefix, NAMING: naming } = deps.settings();
  return {
    workload,
    ...others,
    record: parseRecord(workload.annotations),
    mode,
    policy: policyOf(deps, workload),
    destination: { prefix, naming },
    slots: plans.map((plan) => ({ plan, copy: isCopied(plan) ? deps.copies.get(plan.request) : undefined })),
    followsTags: deps.settings().ON_SOURCE_CHANGE === 'swap',
    isPlaceFree: deps.budget.isFree(),
    requeueAfterMs: deps.settings().REQUEUE_AFTER,
    nowMs: deps.nowMs(),
  };
}

/** Platforms of nodes for which nothing is copied. No node is asked for as long as everything is. */
async function findForeignPlatforms(
  { client, settings }: WorkloadReconcilerDeps,
  plans: readonly SlotPlan[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { PLATFORMS: platforms } = settings();
  const isAsked = platforms !== 'all' && plans.some(isCopied);
  return isAsked ? listForeignPlatforms(await client.listNodePlatforms(signal), platforms) : [];
}

/** Pods are asked for where they can tell what to copy; what is backed up needs none as long as all is well. */
function needsPods({ copies }: WorkloadReconcilerDeps, plan: SlotPlan): boolean {
  return plan.is === 'to be backed up' || (isCopied(plan) && copies.get(plan.request)?.phase === 'failed');
}

async function planWithPods(
  deps: WorkloadReconcilerDeps & { readonly runningPods: RunningPods },
  workload: Workload,
  signal: AbortSignal,
): Promise<readonly SlotPlan[]> {
  const plans = planAll(deps, workload, []);
  if (!makesCopies(deps) || !plans.some((one) => needsPods(deps, one))) {
    return plans;
  }
  const pods = await deps.runningPods.find(workload, { mayBeOld: !deps.budget.isFree() }, signal);
  return pods.length === 0 ? plans : planAll(deps, workload, pods);
}

/** Pods of a workload while a swap of it rolls out: they show whether it has to be undone. */
async function listPodsOfSwap(
  deps: WorkloadReconcilerDeps,
  workload: Workload,
  signal: AbortSignal,
): Promise<readonly Pod[]> {
  const isRolling = isSwapInFlight(workload, parseRecord(workload.annotations), deps.nowMs());
  return isRolling && makesCopies(deps) ? deps.client.listPods(workload, signal) : [];
}

/** Returns the copies that a workload needs now. */
function findWanted(deps: WorkloadReconcilerDeps, plans: readonly SlotPlan[]): readonly CopiedSlot[] {
  return makesCopies(deps) ? plans.filter(isCopied) : [];
}

/** False when that has to be tried again later. */
async function swapOrRestore(
  deps: WorkloadReconcilerDeps,
  workload: Workload,
  { decision, signal }: { readonly decision: Decision; readonly signal: AbortSignal },
): Promise<boolean> {
  if (decision.restore) {
    return restoreWorkload(deps, { workload, restore: decision.restore }, signal);
  }
  return decision.swap === undefined || swap(deps, { workload, ...decision.swap }, signal);
}

/**
 * Brings one workload closer to its backed-up state: gather, decide, act.
 * It never waits for a copy; a settled copy puts the workload back in the queue.
 */
export function createWorkloadReconciler(deps: WorkloadReconcilerDeps) {
  const { budget, copies, log } = deps;
  const runningPods = new RunningPods(deps.client);
  const news = new News(deps.events);
  const observations = new ObservationLog(log);
  const refreshes = new Refreshes(copies);

  /** Returns when to look again. */
  async function carryOut(
    key: string,
    workload: Workload,
    job: { decision: Decision; signal: AbortSignal },
  ): Promise<number | undefined> {
    const { events, undo, waiting, lookAgainMs } = job.decision;
    if (undo) {
      await deps.client.patch(workload, undo.patch, job.signal);
      log.warn({ workload: parseWorkloadKey(key), why: undo.event.note }, 'swap undone');
      deps.onSwapped(workload.kind, 'undone');
    }
    news.tell(workload, events);
    observations.tell(key, job.decision.observation);
    if (!(await swapOrRestore(deps, workload, job))) {
      return deps.settings().REQUEUE_AFTER;
    }
    if (waiting === 'too many rollouts') {
      budget.waitForPlace(key);
    }
    if (waiting) {
      log.debug({ workload: parseWorkloadKey(key), waiting }, 'workload waits');
    }
    return lookAgainMs;
  }

  function forget(key: string): void {
    copies.want(key, []);
    runningPods.forget(key);
    news.forget(key);
    observations.forget(key);
    refreshes.forget(key);
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
    const plans = await planWithPods({ ...deps, runningPods }, workload, signal);
    const wanted = findWanted(deps, plans);
    const requests = wanted.map(({ request }) => request);
    copies.want(key, requests);
    refreshes.heed(key, workload, requests);
    if (!wanted.some((one) => needsPods(deps, one))) {
      runningPods.forget(key);
    }
    const pods = await listPodsOfSwap(deps, workload, signal);
    const foreignPlatforms = await findForeignPlatforms(deps, plans, signal);
    const decision = decide(collectFacts(deps, workload, { plans, pods, foreignPlatforms }));
    const lookAgainMs = await carryOut(key, workload, { decision, signal });
    return lookAgainMs === undefined ? {} : { lookAgainMs };
  };
}
