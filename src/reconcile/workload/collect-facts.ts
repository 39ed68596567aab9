import { listUncoveredPlatforms } from '../../images/platforms.ts';
import { type CopyState, isForOnePlatform } from '../copies/copy-state.ts';
import type { WorkloadFacts } from '../decide/decision.ts';
import { isOfSwap, listNewestOfPods, listNewestTemplates } from '../decide/pods/template-pods.ts';
import { type SlotPlan, findRequest } from '../decide/slots/planned-slot.ts';
import { isSwapWatched } from '../decide/swaps/swap-in-flight.ts';
import { listWantedCopies } from '../decide/wanted-copies.ts';
import type { WorkloadClient } from '../ports.ts';
import type { SwapPullSecrets } from '../pull-secrets/pull-secrets.ts';
import type { RolloutBudget } from '../rollouts/rollout-budget.ts';
import { findDenialEndMs } from '../memory/denial.ts';
import { type KnownWorkload, readFlight } from './known-workload.ts';
import { type SeenPods, type SeenWorkload, type SlotDeps, findPolicyNow } from './read-slots.ts';

export interface FactDeps extends SlotDeps {
  readonly client: Pick<WorkloadClient, 'listPods' | 'listNodePlatforms' | 'listFormerTemplates'>;
  readonly budget: Pick<RolloutBudget, 'isFree' | 'findReasonToWait'>;
  readonly pullSecrets: Pick<SwapPullSecrets, 'wanted' | 'findProblem'>;
}

function listPodSecrets({ running, unfinished }: SeenPods): readonly string[] {
  const names = [...running, ...unfinished].flatMap(({ pullSecrets = [] }) => pullSecrets);
  return [...new Set(names)].toSorted();
}

/** What the copies of a workload are limited to: some of the platforms that PLATFORMS names, or one. */
function readLimits({ copies, settings }: FactDeps, { plans }: SeenWorkload) {
  const wanted = listWantedCopies(settings().MODE, plans).map((request) => copies.get(request));
  return {
    isAny: wanted.length > 0,
    isForOne: wanted.some((copy) => isForOnePlatform(copy)),
    lists: wanted.flatMap((copy) =>
      copy?.phase === 'verified' && copy.absent ? [copy.absent.platforms] : [],
    ),
  };
}

/** No node is asked for as long as everything is copied, and each copy is for all platforms. */
async function findPlatforms(
  deps: FactDeps,
  seen: SeenWorkload,
  signal: AbortSignal,
): Promise<Pick<WorkloadFacts, 'uncoveredPlatforms' | 'nodePlatforms'>> {
  const { PLATFORMS: platforms } = deps.settings();
  const { isAny, isForOne, lists } = readLimits(deps, seen);
  if (!isAny || (platforms === 'all' && !isForOne && lists.length === 0)) {
    return {};
  }
  const all = await deps.client.listNodePlatforms(signal);
  const { architecture } = seen.workload;
  const own = all.filter((one) => architecture === undefined || one.endsWith(`/${architecture}`));
  const uncovered = [
    ...listUncoveredPlatforms(all, platforms),
    ...lists.flatMap((list) => listUncoveredPlatforms(own, list)),
  ];
  return { uncoveredPlatforms: [...new Set(uncovered)], ...(isForOne && { nodePlatforms: own }) };
}

/** Lists ReplicaSets until they tell, once for each generation of the workload that its controller has seen. */
async function askReplicaSets(
  { client }: FactDeps,
  { workload, memory }: SeenWorkload,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const { generation, observedGeneration } = workload.rollout;
  if (memory.newestTemplates?.generation === generation) {
    return memory.newestTemplates.templates;
  }
  const templates = listNewestTemplates(workload, await client.listFormerTemplates(workload, signal));
  // Before that, one of an earlier swap may be all there is of these images.
  if (templates.size > 0 && observedGeneration >= generation) {
    memory.newestTemplates = { generation, templates };
  }
  return templates;
}

/**
 * What pods of the newest template are called by, where that matters and neither the pods nor the workload say so: for
 * Deployments in whose pods admission has written other images than a swap did.
 */
async function findNewestTemplates(
  deps: FactDeps,
  seen: SeenWorkload,
  signal: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  const { workload, record, pods } = seen;
  if (workload.kind === 'DaemonSet') {
    return listNewestOfPods(workload, pods.unfinished);
  }
  const isAsked =
    workload.kind === 'Deployment' &&
    isSwapWatched(readFlight(deps, seen)) &&
    pods.unfinished.some((pod) => isOfSwap(pod, { workload, record }) === undefined);
  return isAsked ? askReplicaSets(deps, seen, signal) : undefined;
}

/** What the settings and the other workloads have to do with it. */
function readSurroundings(
  { settings, budget, pullSecrets, nowMs }: FactDeps,
  { workload, memory }: KnownWorkload,
) {
  const { MODE: mode, REGISTRY_PREFIX: prefix, NAMING: naming, ON_SOURCE_CHANGE, REQUEUE_AFTER } = settings();
  return {
    mode,
    destination: { prefix, naming },
    followsTags: ON_SOURCE_CHANGE === 'swap',
    isPermitFree: budget.isFree(workload),
    rolloutWait: budget.findReasonToWait(workload),
    deniedUntilMs: findDenialEndMs(memory, workload, nowMs()),
    pullSecret: pullSecrets.wanted,
    pullSecretProblem: pullSecrets.findProblem(workload),
    requeueIntervalMs: REQUEUE_AFTER,
  };
}

function findCopy({ copies }: FactDeps, plan: SlotPlan): CopyState | undefined {
  const request = findRequest(plan);
  return request && copies.get(request);
}

/** Finds out what else `decide()` has to know of a workload. Writes nothing. */
export async function collectFacts(
  deps: FactDeps,
  seen: SeenWorkload,
  signal: AbortSignal,
): Promise<WorkloadFacts> {
  const { workload, plans, pods, memory, recheck } = seen;
  const newestTemplates = await findNewestTemplates(deps, seen, signal);
  const platforms = await findPlatforms(deps, seen, signal);
  const { missingSinceMs, unseenPodsSinceMs } = memory;
  return {
    ...readFlight(deps, seen),
    isRefreshAsked: recheck.isRefreshAsked,
    hasJustRolledOut: recheck.hasJustRolledOut,
    ...readSurroundings(deps, seen),
    ...platforms,
    policy: findPolicyNow(deps, workload),
    newestTemplates,
    slots: plans.map((plan) => ({ plan, copy: findCopy(deps, plan) })),
    pods: pods.unfinished,
    hasUnseenPods: unseenPodsSinceMs !== undefined,
    podSecrets: listPodSecrets(pods),
    ...(missingSinceMs !== undefined && { missingSinceMs }),
  };
}
