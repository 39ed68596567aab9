import { parsePrefix } from '../../src/images/copy-name.ts';
import type { CopyState } from '../../src/reconcile/copies/copy-state.ts';
import type { WorkloadFacts } from '../../src/reconcile/decide/decision.ts';
import { findPolicy } from '../../src/reconcile/decide/policy.ts';
import type { SlotPlan } from '../../src/reconcile/decide/slots/planned-slot.ts';
import { planSlots } from '../../src/reconcile/decide/slots/slot-plan.ts';
import { parseRecord } from '../../src/workloads/record.ts';
import type { Pod, Workload } from '../../src/workloads/workload.ts';

/** When decisions are made, unless the facts say another time. */
const DECIDED_AT_MS = 1_700_000_000_000;

export interface Surroundings {
  /** What is known of the copy of each slot; by default nothing. */
  readonly copyOf?: (plan: SlotPlan, index: number) => CopyState | undefined;
  readonly namespacePolicy?: string | undefined;
  readonly runningPods?: readonly Pod[];
  readonly unfinishedPods?: readonly Pod[];
  readonly sourceHosts?: readonly string[];
}

/** The facts of a workload whose turn it is, in MODE=swap. */
export function factsOf(
  workload: Workload,
  surroundings: Surroundings = {},
  facts: Partial<WorkloadFacts> = {},
): WorkloadFacts {
  const { copyOf = () => undefined, namespacePolicy, runningPods = [], ...others } = surroundings;
  const { unfinishedPods = [], sourceHosts = ['*'] } = others;
  const destination = { prefix: parsePrefix('backup.example/p'), naming: 'nested' } as const;
  const record = parseRecord(workload.annotations);
  const policy = findPolicy(workload, namespacePolicy);
  const plans = planSlots({
    workload,
    record,
    policy,
    pods: runningPods,
    unfinishedPods,
    ...destination,
    sourceHosts,
  });
  return {
    workload,
    record,
    pods: unfinishedPods,
    mode: 'swap',
    policy,
    destination,
    slots: plans.map((plan, index) => ({ plan, copy: copyOf(plan, index) })),
    followsTags: false,
    isRefreshAsked: false,
    hasJustRolledOut: false,
    isPermitFree: true,
    rolloutWait: undefined,
    deniedUntilMs: undefined,
    requeueIntervalMs: 30_000,
    rolloutTimeoutMs: 600_000,
    nowMs: DECIDED_AT_MS,
    ...facts,
  };
}
