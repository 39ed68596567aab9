import { formatWorkloadKey } from '../../workloads/kinds.ts';
import type { CopyRequest } from '../copies/copy-state.ts';
import type { CopyStore } from '../copies/copy-store.ts';
import { isBecauseOfPods } from '../decide/action.ts';
import { decide } from '../decide/decide.ts';
import type { WorkloadFacts } from '../decide/decision.ts';
import { listWantedCopies } from '../decide/wanted-copies.ts';
import { type FactDeps, collectFacts } from './collect-facts.ts';
import type { KnownWorkload } from './known-workload.ts';
import { readSlots } from './read-slots.ts';
import { NO_WATCHED_PODS } from './watched-pods.ts';

export interface LookDeps extends FactDeps {
  readonly copies: Pick<CopyStore, 'get' | 'want'>;
}

/** A watch that has shown something old is given that long to catch up. */
const CATCH_UP_MS = 10_000;
/** A list that is larger than what is kept of it: the watch has smaller pods, and more of them. */
const TOO_LARGE_MS = 10 * 60_000;

interface Look {
  readonly facts: WorkloadFacts;
  readonly wanted: readonly CopyRequest[];
  readonly arePodsWatched: boolean;
}

/** Looks at a workload, asks for the copies that it needs, and collects what is to be known for a decision. */
async function look(deps: LookDeps, known: KnownWorkload, signal: AbortSignal): Promise<Look> {
  const seen = await readSlots(deps, known, signal);
  const wanted = listWantedCopies(deps.settings().MODE, seen.plans);
  deps.copies.want(formatWorkloadKey(known.workload), wanted);
  return { facts: await collectFacts(deps, seen, signal), wanted, arePodsWatched: seen.pods.areWatched };
}

/**
 * What is watched may be old: a digest that ran, a pod that has got over it. So whatever is done because of pods is decided
 * once more about pods that have just been listed: one request for every such action.
 */
export async function lookTwice(
  deps: LookDeps,
  known: KnownWorkload,
  signal: AbortSignal,
): Promise<WorkloadFacts> {
  const { memory } = known;
  const listing = { ...deps, pods: NO_WATCHED_PODS };
  const isWatchOld = deps.nowMs() < (memory.listPodsUntilMs ?? 0);
  const first = await look(isWatchOld ? listing : deps, known, signal);
  if (!first.arePodsWatched || !decide(first.facts).actions.some(isBecauseOfPods)) {
    return first.facts;
  }
  // Until the list has shown the same: what cannot even be listed is not asked for at every change of a pod.
  memory.listPodsUntilMs = deps.nowMs() + TOO_LARGE_MS;
  const second = await look(listing, known, signal);
  const isSame = JSON.stringify(second.wanted) === JSON.stringify(first.wanted);
  memory.listPodsUntilMs = isSame ? 0 : deps.nowMs() + CATCH_UP_MS;
  return second.facts;
}
