import type { Settings } from '../../settings/settings.ts';
import type { Pod, Workload } from '../../workloads/workload.ts';
import type { CopyStore } from '../copies/copy-store.ts';
import { type AppliedPolicy, findPolicy } from '../decide/policy.ts';
import { mayHaveStuckPods } from '../decide/pods/stuck-pods.ts';
import { type SlotPlan, isCopied } from '../decide/slots/planned-slot.ts';
import { planSlots } from '../decide/slots/slot-plan.ts';
import { needsRescue } from '../decide/swaps/rescue.ts';
import { isSwapWatched } from '../decide/swaps/swap-in-flight.ts';
import { isToBeSeen } from '../decide/swaps/swap-success.ts';
import { makesCopies } from '../decide/wanted-copies.ts';
import type { PodStore, WorkloadClient, WorkloadStore } from '../ports.ts';
import type { SwapPullSecrets } from '../pull-secrets/pull-secrets.ts';
import type { RolloutBudget } from '../rollouts/rollout-budget.ts';
import { type KnownWorkload, readFlight } from './known-workload.ts';
import { type LookedUpPods, NO_PODS } from './looked-up-pods.ts';
import { findRunningPods } from './running-pods.ts';
import { findUnfinishedPods } from './unfinished-pods.ts';

export interface SlotDeps {
  readonly workloads: Pick<WorkloadStore, 'findNamespacePolicy'>;
  readonly pods: PodStore;
  readonly client: Pick<WorkloadClient, 'listPods'>;
  readonly copies: Pick<CopyStore, 'get'>;
  readonly budget: Pick<RolloutBudget, 'findReasonToWait'>;
  readonly pullSecrets: Pick<SwapPullSecrets, 'wanted'>;
  readonly settings: () => Settings;
  readonly nowMs: () => number;
}

/** What is known of the pods of a workload; each is empty unless somebody needs to know. */
export interface SeenPods {
  /** Of one that is rolled out. */
  readonly running: readonly Pod[];
  /** Of one that is not. */
  readonly unfinished: readonly Pod[];
  /** Some of this is what is watched: before anything is done because of it, it is to be listed. */
  readonly areWatched: boolean;
}

/** A workload with what its slots and its pods show. */
export interface SeenWorkload extends KnownWorkload {
  readonly pods: SeenPods;
  readonly plans: readonly SlotPlan[];
}

const NOTHING_SEEN: SeenPods = { running: [], unfinished: [], areWatched: false };

/** The user may change it at any time, on the namespace as well. */
export function findPolicyNow({ workloads }: Pick<SlotDeps, 'workloads'>, workload: Workload): AppliedPolicy {
  return findPolicy(workload, workloads.findNamespacePolicy(workload.namespace));
}

function planAll(
  deps: SlotDeps,
  { workload, record }: KnownWorkload,
  pods: Pick<SeenPods, 'running' | 'unfinished'>,
): readonly SlotPlan[] {
  const {
    REGISTRY_PREFIX: prefix,
    NAMING: naming,
    FORMER_PREFIXES: formerPrefixes,
    SOURCE_HOSTS,
  } = deps.settings();
  return planSlots({
    workload,
    record,
    policy: findPolicyNow(deps, workload),
    pods: pods.running,
    unfinishedPods: pods.unfinished,
    prefix,
    naming,
    formerPrefixes,
    sourceHosts: SOURCE_HOSTS,
  });
}

/** Pods are asked for where they can tell what to copy, or to look up; what is backed up needs none as long as all is well. */
function needsPods({ copies }: SlotDeps, plan: SlotPlan): boolean {
  const isOfPods = plan.is === 'to be backed up' || plan.is === 'unexplained';
  return isOfPods || (isCopied(plan) && copies.get(plan.request)?.phase === 'failed');
}

function findUnfinished(
  { pods, client, nowMs }: SlotDeps,
  { known: { workload, memory }, mayBeOld }: { readonly known: KnownWorkload; readonly mayBeOld: boolean },
  signal: AbortSignal,
): ReturnType<typeof findUnfinishedPods> {
  return findUnfinishedPods({ pods, client, memory, nowMs }, { workload, mayBeOld }, signal);
}

/** Pods of a workload that is not rolled out are asked for where they can show that a swap failed, or is needed. */
async function findPodsOfRollout(
  deps: SlotDeps,
  { known, plans }: { readonly known: KnownWorkload; readonly plans: readonly SlotPlan[] },
  signal: AbortSignal,
): Promise<LookedUpPods> {
  const { workload, record } = known;
  const isInFlight =
    isSwapWatched(readFlight(deps, known)) ||
    mayHaveStuckPods(workload, record, { isRestoring: false, nowMs: deps.nowMs() });
  const mayNeedSwap = deps.settings().MODE === 'swap' && plans.some(({ is }) => is === 'to be backed up');
  if (!isInFlight && !mayNeedSwap) {
    return NO_PODS;
  }
  const found = await findUnfinished(deps, { known, mayBeOld: !isInFlight }, signal);
  // What is to be acted on is looked at again: they may have got over it.
  return found.areOld && planAll(deps, known, { running: [], unfinished: found.pods }).some(needsRescue)
    ? findUnfinished(deps, { known, mayBeOld: false }, signal)
    : found;
}

/** Of a workload that has just got its originals back. */
async function findPodsOfRestore(
  deps: SlotDeps,
  known: KnownWorkload,
  signal: AbortSignal,
): Promise<SeenPods> {
  const isRestoring = deps.settings().MODE === 'restore';
  if (!isRestoring || !mayHaveStuckPods(known.workload, known.record, { isRestoring, nowMs: deps.nowMs() })) {
    return NOTHING_SEEN;
  }
  const { pods, areWatched } = await findUnfinished(deps, { known, mayBeOld: false }, signal);
  return { running: [], unfinished: pods, areWatched };
}

/** Only pods show what their ServiceAccount gives them, and a first entry would take away. */
function mayBeFirstEntry(
  { pullSecrets }: SlotDeps,
  { workload }: KnownWorkload,
  plans: readonly SlotPlan[],
): boolean {
  return pullSecrets.wanted !== undefined && workload.pullSecrets.length === 0 && plans.some(isCopied);
}

async function findPods(deps: SlotDeps, known: KnownWorkload, signal: AbortSignal): Promise<SeenPods> {
  if (!makesCopies(deps.settings().MODE)) {
    return findPodsOfRestore(deps, known, signal);
  }
  const { workload, memory } = known;
  const plans = planAll(deps, known, NOTHING_SEEN);
  const mayBeOld = deps.budget.findReasonToWait(workload) !== undefined;
  const isNeeded =
    mayBeFirstEntry(deps, known, plans) ||
    isToBeSeen(readFlight(deps, known)) ||
    plans.some((one) => needsPods(deps, one));
  const running = isNeeded
    ? await findRunningPods({ ...deps, memory }, { workload, mayBeOld }, signal)
    : NO_PODS;
  const unfinished = await findPodsOfRollout(deps, { known, plans }, signal);
  return {
    running: running.pods,
    unfinished: unfinished.pods,
    areWatched: running.areWatched || unfinished.areWatched,
  };
}

/** Looks what the slots of a workload hold, with the help of its pods where those are needed. Writes nothing. */
export async function readSlots(
  deps: SlotDeps,
  known: KnownWorkload,
  signal: AbortSignal,
): Promise<SeenWorkload> {
  const pods = await findPods(deps, known, signal);
  const plans = planAll(deps, known, pods);
  const areNeededAgain = makesCopies(deps.settings().MODE) && plans.some((plan) => needsPods(deps, plan));
  if (!areNeededAgain) {
    known.memory.runningPods = undefined;
  }
  return { ...known, pods, plans };
}
