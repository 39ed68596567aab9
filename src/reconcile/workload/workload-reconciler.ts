import { parseWorkloadKey } from '../../workloads/kinds.ts';
import type { Workload } from '../../workloads/workload.ts';
import { type ApplyDeps, applyAction } from '../apply/apply-action.ts';
import type { CopyStore } from '../copies/copy-store.ts';
import type { Decision } from '../decide/decision.ts';
import type { WorkloadClient, WorkloadStore } from '../ports.ts';
import { decideWithHistory } from './decide-with-history.ts';
import { noteRechecked, knowWorkload } from './known-workload.ts';
import { type LookDeps, lookTwice } from './look-twice.ts';
import { leaveIfTooLarge } from './leave-if-too-large.ts';
import { noteRecord } from '../memory/last-record.ts';
import { recordNewEvents } from '../memory/record-new-events.ts';
import type { WorkloadMemories } from '../memory/workload-memories.ts';
import type { WorkloadMemory } from '../memory/workload-memory.ts';

export interface WorkloadReconcilerDeps extends LookDeps, ApplyDeps {
  readonly client: WorkloadClient;
  readonly copies: Pick<CopyStore, 'get' | 'want' | 'distrust' | 'refute' | 'recheck'>;
  readonly budget: ApplyDeps['budget'];
  readonly pullSecrets: ApplyDeps['pullSecrets'];
  readonly workloads: WorkloadStore;
  readonly memories: Pick<WorkloadMemories, 'of'>;
}

async function lookAndDecide(
  deps: WorkloadReconcilerDeps,
  { workload, memory }: { readonly workload: Workload; readonly memory: WorkloadMemory },
  signal: AbortSignal,
): Promise<Decision> {
  const known = knowWorkload(workload, memory);
  const facts = await lookTwice(deps, known, signal);
  const decision = await decideWithHistory(deps.client, facts, signal);
  noteRechecked(known);
  return decision;
}

/** Returns when to look again. */
async function carryOut(
  deps: WorkloadReconcilerDeps,
  job: { readonly workload: Workload; readonly memory: WorkloadMemory; readonly decision: Decision },
  signal: AbortSignal,
): Promise<number | undefined> {
  const { workload, memory, decision } = job;
  if (decision.events) {
    recordNewEvents({ events: deps.events, memory }, workload, decision.events);
  }
  if (!decision.actions.some(({ is }) => is === 'observe')) {
    memory.observation = undefined;
  }
  let { requeueAfterMs } = decision;
  for (const action of decision.actions) {
    requeueAfterMs = (await applyAction(deps, { workload, memory, action }, signal)) ?? requeueAfterMs;
  }
  return requeueAfterMs;
}

/**
 * Brings one workload closer to its backed-up state: look, decide, act.
 * It never waits for a copy; a settled copy puts the workload back in the queue.
 */
export function createWorkloadReconciler(deps: WorkloadReconcilerDeps) {
  return async function reconcileWorkload(
    key: string,
    signal: AbortSignal,
  ): Promise<{ requeueAfterMs?: number }> {
    const workload = deps.workloads.get(parseWorkloadKey(key));
    if (!workload) {
      deps.copies.want(key, []);
      return {};
    }
    const memory = deps.memories.of(workload);
    noteRecord(memory, workload, workload.annotations);
    const decision = await leaveIfTooLarge(workload, (one) =>
      lookAndDecide(deps, { workload: one, memory }, signal),
    );
    const requeueAfterMs = await carryOut(deps, { workload, memory, decision }, signal);
    return requeueAfterMs === undefined ? {} : { requeueAfterMs };
  };
}
