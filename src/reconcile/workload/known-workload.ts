import type { Settings } from '../../settings/settings.ts';
import { type SwapRecord, parseRecord } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';
import { type AppliedPolicy, findPolicy } from '../decide/policy.ts';
import type { FlightFacts } from '../decide/swaps/swap-in-flight.ts';
import type { WorkloadStore } from '../ports.ts';
import type { WorkloadMemory } from '../memory/workload-memory.ts';

/** What is known of a workload without asking anybody. */
export interface KnownWorkload {
  readonly workload: Workload;
  readonly record: SwapRecord;
  readonly policy: AppliedPolicy;
  readonly memory: WorkloadMemory;
}

export function knowWorkload(
  workloads: Pick<WorkloadStore, 'findNamespacePolicy'>,
  workload: Workload,
  memory: WorkloadMemory,
): KnownWorkload {
  return {
    workload,
    record: parseRecord(workload.annotations),
    policy: findPolicy(workload, workloads.findNamespacePolicy(workload.namespace)),
    memory,
  };
}

/** What is known of the last swap of a workload. */
export function readFlight(
  { settings, nowMs }: { readonly settings: () => Settings; readonly nowMs: () => number },
  { workload, record, memory }: KnownWorkload,
): FlightFacts {
  const { seenSwap } = memory;
  return {
    workload,
    record,
    succeededAtMs: seenSwap?.swappedAtMs === record.swappedAtMs ? seenSwap.seenAtMs : undefined,
    rolloutTimeoutMs: settings().ROLLOUT_TIMEOUT,
    nowMs: nowMs(),
  };
}
