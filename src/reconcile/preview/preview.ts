import PQueue from 'p-queue';
import type { Logger } from 'pino';

import { RegistryError } from '../../errors.ts';
import { isImageCopy } from '../../images/copy-name.ts';
import type { Settings } from '../../settings/settings.ts';
import { formatWorkloadKey } from '../../workloads/kinds.ts';
import type { Workload } from '../../workloads/workload.ts';
import { type CopyReconcilerDeps, createCopyReconciler } from '../copies/copy-reconciler.ts';
import { CopyStore } from '../copies/copy-store.ts';
import { decideWithHistory } from '../workload/decide-with-history.ts';
import type { Decision, WorkloadFacts } from '../decide/decision.ts';
import { listWantedCopies } from '../decide/wanted-copies.ts';
import { WorkloadMemories } from '../memory/workload-memories.ts';
import { type FactDeps, collectFacts } from '../workload/collect-facts.ts';
import { knowWorkload } from '../workload/known-workload.ts';
import { leaveIfTooLarge } from '../workload/leave-if-too-large.ts';
import { readSlots } from '../workload/read-slots.ts';
import { createLookOnlyRegistry } from './look-only-registry.ts';
import { type PreviewProgress, ProgressCount } from './preview-progress.ts';
import type { ImageRegistry, PodStore, WorkloadClient, WorkloadStore } from '../ports.ts';
import { RolloutBudget } from '../rollouts/rollout-budget.ts';
import { NO_MEMO } from '../rollouts/swap-stops.ts';

/** Questions to API server and registries at the same time. */
const CONCURRENCY = 8;

export interface PreviewDeps {
  readonly workloads: Pick<WorkloadStore, 'findNamespacePolicy'>;
  readonly pods: PodStore;
  readonly client: Pick<WorkloadClient, 'listPods' | 'listNodePlatforms' | 'listFormerTemplates'>;
  readonly registry: Omit<ImageRegistry, 'copy' | 'tag'>;
  readonly settings: Settings;
  readonly log: Logger;
  readonly nowMs: () => number;
  /** Told of every workload and image that was looked at. */
  readonly onProgress: (progress: PreviewProgress) => void;
}

/** What would happen to one workload. A copy with `copiedAtMs` is not there yet: it would be made first. */
export interface Preview {
  readonly facts: WorkloadFacts;
  readonly decision: Decision;
}

async function forEachKey(keys: Set<string>, work: (key: string) => Promise<void>): Promise<void> {
  const queue = new PQueue({ concurrency: CONCURRENCY });
  const taken = [...keys];
  keys.clear();
  await queue.addAll(taken.map((key) => () => work(key)));
}

/** A workload is looked at more than once here, and its pods do not matter more the second time. */
function rememberPods(client: PreviewDeps['client']): PreviewDeps['client'] {
  const known = new Map<string, ReturnType<WorkloadClient['listPods']>>();
  return {
    listNodePlatforms: (signal) => client.listNodePlatforms(signal),
    listFormerTemplates: (workload, signal) => client.listFormerTemplates(workload, signal),
    async listPods(workload, signal) {
      const pods = known.get(workload.uid) ?? client.listPods(workload, signal);
      known.set(workload.uid, pods);
      return pods;
    },
  };
}

function createBudget({ settings, nowMs }: PreviewDeps, workloads: readonly Workload[]): RolloutBudget {
  const budget = new RolloutBudget({
    limits: () => ({ maxRollouts: settings.MAX_CONCURRENT_ROLLOUTS, timeoutMs: settings.ROLLOUT_TIMEOUT }),
    nowMs,
    isCopy: (image) => isImageCopy(image, settings.REGISTRY_PREFIX),
    onFree: () => undefined,
    onStopped: () => undefined,
    memo: NO_MEMO,
  });
  for (const workload of workloads) {
    budget.observe(formatWorkloadKey(workload), workload);
  }
  return budget;
}

/** A failure is kept as the state of the copy. The loops would try again; who plans wants to know how it is now. */
function createCopyLookUp(
  { registry, log }: PreviewDeps,
  common: Pick<CopyReconcilerDeps, 'copies' | 'nowMs' | 'settings'>,
): (key: string, signal: AbortSignal) => Promise<void> {
  const reconcileCopy = createCopyReconciler({
    ...common,
    registry: createLookOnlyRegistry(registry),
    log,
    random: () => 0,
    onCopied: () => undefined,
  });
  return async (key, signal) => {
    try {
      await reconcileCopy(key, signal);
    } catch (error) {
      if (!(error instanceof RegistryError)) {
        throw error;
      }
    }
  };
}

/**
 * What the two loops would decide for these workloads, of all that are in scope (they share the budget), as if every copy
 * that can be made had been made. Looks only: nothing is written, neither in the cluster nor in a registry.
 *
 * @throws {ApiError}
 */
export async function preview(
  deps: PreviewDeps,
  { all, selected }: { readonly all: readonly Workload[]; readonly selected: readonly Workload[] },
  signal: AbortSignal,
): Promise<readonly Preview[]> {
  const workloads = new Map(selected.map((workload) => [formatWorkloadKey(workload), workload]));
  const unsettled = new Set(workloads.keys());
  const wanted = new Set<string>();
  const progress = new ProgressCount(deps.onProgress);
  const copies = new CopyStore({
    onWanted: (key) => {
      wanted.add(key);
      progress.addKnownImage(key);
    },
    onSettled: (key) => unsettled.add(key),
  });
  const common = { copies, nowMs: deps.nowMs, settings: () => deps.settings };
  // One look does not show what a controller remembers of the workloads.
  const memories = new WorkloadMemories(deps.nowMs);
  const factDeps: FactDeps = {
    ...deps,
    ...common,
    client: rememberPods(deps.client),
    budget: createBudget(deps, all),
    // Secrets are not looked at here.
    pullSecrets: { wanted: deps.settings.PULL_SECRET || undefined, findProblem: () => undefined },
  };
  const lookUpCopy = createCopyLookUp(deps, common);
  const facts = new Map<string, WorkloadFacts>();

  while (unsettled.size > 0) {
    await forEachKey(unsettled, async (key) => {
      const workload = workloads.get(key);
      if (workload) {
        await leaveIfTooLarge(workload, async (one) => {
          const seen = await readSlots(factDeps, knowWorkload(one, memories.of(one)), signal);
          copies.want(key, listWantedCopies(deps.settings.MODE, seen.plans));
          facts.set(key, await collectFacts(factDeps, seen, signal));
        });
        progress.addWorkload(key);
      }
    });
    await forEachKey(wanted, async (key) => {
      await lookUpCopy(key, signal);
      progress.addImage(key);
    });
  }
  const known = [...workloads.keys()].flatMap((key) => facts.get(key) ?? []);
  return new PQueue({ concurrency: CONCURRENCY }).addAll(
    known.map((one) => async () => ({
      facts: one,
      decision: await leaveIfTooLarge(one.workload, (workload) =>
        decideWithHistory(deps.client, { ...one, workload }, signal),
      ),
    })),
  );
}
