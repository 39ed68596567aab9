import { listForeignPlatforms } from '../../images/platforms.ts';
import type { Settings } from '../../settings/settings.ts';
import { formatWorkloadKey } from '../../workloads/kinds.ts';
import { parseRecord } from '../../workloads/record.ts';
import type { Pod, Workload } from '../../workloads/workload.ts';
import { type CopyRequest, isForOnePlatform } from '../copies/copy-state.ts';
import type { CopyStore } from '../copies/copy-store.ts';
import type { WorkloadFacts } from '../decide/decision.ts';
import type { Denials } from './denials.ts';
import { type AppliedPolicy, findPolicy } from '../decide/policy.ts';
import type { WorkloadClient, WorkloadStore } from '../ports.ts';
import type { SwapPullSecrets } from '../pull-secrets/pull-secrets.ts';
import type { FinishedRollouts } from './finished-rollouts.ts';
import type { SwapSuccesses } from './swap-successes.ts';
import type { MissingPods } from './missing-pods.ts';
import { Refreshes } from './refreshes.ts';
import { isStuck } from '../decide/swaps/rescue.ts';
import type { RolloutBudget } from '../rollouts/rollout-budget.ts';
import { RunningPods } from './running-pods.ts';
import { type CopiedSlot, type SlotPlan, isCopied, planSlots } from '../decide/slots/slot-plan.ts';
import { mayHaveStuckPods } from '../decide/pods/stuck-pods.ts';
import { type FlightFacts, isSwapWatched } from '../decide/swaps/swap-in-flight.ts';
import { isToBeSeen } from '../decide/swaps/swap-success.ts';
import { isOfSwap, listNewestOfPods, listNewestTemplates } from '../decide/pods/template-pods.ts';
import { UnfinishedPods } from './unfinished-pods.ts';

export interface FactDeps {
  readonly workloads: Pick<WorkloadStore, 'findNamespacePolicy'>;
  readonly client: Pick<WorkloadClient, 'listPods' | 'listNodePlatforms' | 'listFormerTemplates'>;
  readonly copies: Pick<CopyStore, 'get' | 'want' | 'recheck'>;
  readonly budget: Pick<RolloutBudget, 'isFree' | 'findReasonToWait'>;
  readonly denials: Pick<Denials, 'findEndMs'>;
  readonly missingPods: Pick<MissingPods, 'findSinceMs'>;
  readonly finishedRollouts: Pick<FinishedRollouts, 'take'>;
  readonly successes: Pick<SwapSuccesses, 'findSeenAtMs'>;
  readonly pullSecrets: Pick<SwapPullSecrets, 'wanted' | 'findProblem'>;
  readonly settings: () => Settings;
  readonly nowMs: () => number;
}

/** Finds out what `decide()` has to know of a workload, and writes nothing. */
export interface FactGatherer {
  /** The facts of now; the copies that the workload needs are wanted from then on. */
  gather(workload: Workload, signal: AbortSignal): Promise<WorkloadFacts>;
  /** The workload is gone, and wants no copy any more. */
  forget(key: string): void;
}

/** What is known of the pods of a workload; each is empty unless somebody needs to know. */
interface KnownPods {
  /** Of one that is rolled out. */
  readonly running: readonly Pod[];
  /** Of one that is not. */
  readonly unfinished: readonly Pod[];
}

function listPodSecrets({ running, unfinished }: KnownPods): readonly string[] {
  const names = [...running, ...unfinished].flatMap(({ pullSecrets = [] }) => pullSecrets);
  return [...new Set(names)].toSorted();
}

const NO_PODS: KnownPods = { running: [], unfinished: [] };

type PodDeps = FactDeps & { readonly runningPods: RunningPods; readonly unfinishedPods: UnfinishedPods };

function policyOf(deps: FactDeps, workload: Workload): AppliedPolicy {
  return findPolicy(workload, deps.workloads.findNamespacePolicy(workload.namespace));
}

/** False while nothing is to be copied or looked up, in whatever state the workloads are. */
function makesCopies(deps: FactDeps): boolean {
  const { MODE: mode } = deps.settings();
  return mode === 'swap' || mode === 'copy';
}

function planAll(deps: FactDeps, workload: Workload, pods: KnownPods): readonly SlotPlan[] {
  const { REGISTRY_PREFIX: prefix, NAMING: naming, SOURCE_HOSTS: sourceHosts } = deps.settings();
  return planSlots({
    workload,
    record: parseRecord(workload.annotations),
    policy: policyOf(deps, workload),
    pods: pods.running,
    unfinishedPods: pods.unfinished,
    prefix,
    naming,
    sourceHosts,
  });
}

function collectFacts(
  deps: FactDeps,
  workload: Workload,
  read: { readonly plans: readonly SlotPlan[] } & Pick<
    WorkloadFacts,
    'pods' | 'podSecrets' | 'foreignPlatforms' | 'nodePlatforms' | 'missingSinceMs' | 'newestTemplates'
  >,
): WorkloadFacts {
  const { plans, ...others } = read;
  const { MODE: mode, REGISTRY_PREFIX: prefix, NAMING: naming } = deps.settings();
  return {
    ...readFlight(deps, workload),
    ...others,
    mode,
    policy: policyOf(deps, workload),
    destination: { prefix, naming },
    slots: plans.map((plan) => ({ plan, copy: isCopied(plan) ? deps.copies.get(plan.request) : undefined })),
    followsTags: deps.settings().ON_SOURCE_CHANGE === 'swap',
    isPlaceFree: deps.budget.isFree(),
    pace: deps.budget.findReasonToWait(workload),
    deniedUntilMs: deps.denials.findEndMs(workload, deps.nowMs()),
    pullSecret: deps.pullSecrets.wanted,
    pullSecretProblem: deps.pullSecrets.findProblem(workload),
    requeueAfterMs: deps.settings().REQUEUE_AFTER,
  };
}

/** No node is asked for as long as everything is copied, and each copy is for all platforms. */
async function findPlatforms(
  { client, copies, settings }: FactDeps,
  { workload, wanted }: { readonly workload: Workload; readonly wanted: readonly CopiedSlot[] },
  signal: AbortSignal,
): Promise<Pick<WorkloadFacts, 'foreignPlatforms' | 'nodePlatforms'>> {
  const { PLATFORMS: platforms } = settings();
  const isForOne = wanted.some(({ request }) => isForOnePlatform(copies.get(request)));
  if (wanted.length === 0 || (platforms === 'all' && !isForOne)) {
    return {};
  }
  const all = await client.listNodePlatforms(signal);
  const { architecture } = workload;
  return {
    foreignPlatforms: listForeignPlatforms(all, platforms),
    ...(isForOne && {
      nodePlatforms: all.filter((one) => architecture === undefined || one.endsWith(`/${architecture}`)),
    }),
  };
}

/** What is known of the last swap of a workload. */
function readFlight({ successes, settings, nowMs }: FactDeps, workload: Workload): FlightFacts {
  const record = parseRecord(workload.annotations);
  return {
    workload,
    record,
    succeededAtMs: successes.findSeenAtMs(workload, record),
    rolloutTimeoutMs: settings().ROLLOUT_TIMEOUT,
    nowMs: nowMs(),
  };
}

/**
 * What pods of the newest template are called by, where that matters and neither the pods nor the workload say so: one list
 * of ReplicaSets, for Deployments in whose pods admission has written other images than a swap did.
 */
async function findNewestTemplates(
  deps: FactDeps,
  { workload, pods }: { readonly workload: Workload; readonly pods: readonly Pod[] },
  signal: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  const record = parseRecord(workload.annotations);
  if (workload.kind === 'DaemonSet') {
    return listNewestOfPods(workload, pods);
  }
  const isAsked =
    workload.kind === 'Deployment' &&
    isSwapWatched(readFlight(deps, workload)) &&
    pods.some((pod) => isOfSwap(pod, { workload, record }) === undefined);
  return isAsked
    ? listNewestTemplates(workload, await deps.client.listFormerTemplates(workload, signal))
    : undefined;
}

/** Pods are asked for where they can tell what to copy; what is backed up needs none as long as all is well. */
function needsPods({ copies }: FactDeps, plan: SlotPlan): boolean {
  return plan.is === 'to be backed up' || (isCopied(plan) && copies.get(plan.request)?.phase === 'failed');
}

/** Pods of a workload that is not rolled out are asked for where they can show that a swap failed, or is needed. */
async function findUnfinished(
  deps: PodDeps,
  workload: Workload,
  { plans, signal }: { readonly plans: readonly SlotPlan[]; readonly signal: AbortSignal },
): Promise<readonly Pod[]> {
  const record = parseRecord(workload.annotations);
  const nowMs = deps.nowMs();
  const isInFlight =
    isSwapWatched(readFlight(deps, workload)) ||
    mayHaveStuckPods(workload, record, { isRestoring: false, nowMs });
  const mayNeedSwap = deps.settings().MODE === 'swap' && plans.some(({ is }) => is === 'to be backed up');
  if (!isInFlight && !mayNeedSwap) {
    return [];
  }
  const unfinished = await deps.unfinishedPods.find(workload, { mayBeOld: !isInFlight }, signal);
  // What is to be acted on is looked at again: they may have got over it.
  return !isInFlight && planAll(deps, workload, { running: [], unfinished }).some(isStuck)
    ? deps.unfinishedPods.find(workload, { mayBeOld: false }, signal)
    : unfinished;
}

/** Of a workload that has just got its originals back. */
async function findPodsOfRestore(deps: PodDeps, workload: Workload, signal: AbortSignal): Promise<KnownPods> {
  const isRestoring = deps.settings().MODE === 'restore';
  const record = parseRecord(workload.annotations);
  return isRestoring && mayHaveStuckPods(workload, record, { isRestoring, nowMs: deps.nowMs() })
    ? { running: [], unfinished: await deps.unfinishedPods.find(workload, { mayBeOld: false }, signal) }
    : NO_PODS;
}

async function findPods(deps: PodDeps, workload: Workload, signal: AbortSignal): Promise<KnownPods> {
  if (!makesCopies(deps)) {
    return findPodsOfRestore(deps, workload, signal);
  }
  const plans = planAll(deps, workload, NO_PODS);
  const mayBeOld = deps.budget.findReasonToWait(workload) !== undefined;
  // Only pods show what their ServiceAccount gives them, and a first entry would take away.
  const mayBeFirstEntry =
    deps.pullSecrets.wanted !== undefined && workload.pullSecrets.length === 0 && plans.some(isCopied);
  const isSwapUnseen = isToBeSeen(readFlight(deps, workload));
  const isNeeded = mayBeFirstEntry || isSwapUnseen || plans.some((one) => needsPods(deps, one));
  return {
    running: isNeeded ? await deps.runningPods.find(workload, { mayBeOld }, signal) : [],
    unfinished: await findUnfinished(deps, workload, { plans, signal }),
  };
}

/** Returns the copies that a workload needs now. */
function findWanted(deps: FactDeps, plans: readonly SlotPlan[]): readonly CopiedSlot[] {
  return makesCopies(deps) ? plans.filter(isCopied) : [];
}

/** Pods that have just started may read what could not be read before, and tell that somebody is at work. */
function retryFailed(copies: FactDeps['copies'], requests: readonly CopyRequest[]): void {
  for (const request of requests.filter((one) => copies.get(one)?.phase === 'failed')) {
    copies.recheck(request);
  }
}

export function createFactGatherer(deps: FactDeps): FactGatherer {
  const { client, copies, nowMs } = deps;
  const runningPods = new RunningPods(client);
  const unfinishedPods = new UnfinishedPods(client, nowMs);
  const refreshes = new Refreshes(copies);
  return {
    async gather(workload, signal) {
      const key = formatWorkloadKey(workload);
      const missingSinceMs = deps.missingPods.findSinceMs(key);
      const pods = await findPods({ ...deps, runningPods, unfinishedPods }, workload, signal);
      const plans = planAll(deps, workload, pods);
      const wanted = findWanted(deps, plans);
      const requests = wanted.map(({ request }) => request);
      copies.want(key, requests);
      refreshes.heed(key, workload, requests);
      if (deps.finishedRollouts.take(key, workload)) {
        retryFailed(copies, requests);
      }
      if (!wanted.some((one) => needsPods(deps, one))) {
        runningPods.forget(key);
      }
      const newestTemplates = await findNewestTemplates(deps, { workload, pods: pods.unfinished }, signal);
      return collectFacts(deps, workload, {
        plans,
        pods: pods.unfinished,
        podSecrets: listPodSecrets(pods),
        newestTemplates,
        ...(await findPlatforms(deps, { workload, wanted }, signal)),
        ...(missingSinceMs !== undefined && { missingSinceMs }),
      });
    },
    forget(key) {
      copies.want(key, []);
      runningPods.forget(key);
      unfinishedPods.forget(key);
      refreshes.forget(key);
    },
  };
}
