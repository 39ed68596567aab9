import type { Settings } from '../../settings/settings.ts';
import { type SwapRecord, parseRecord } from '../../workloads/record.ts';
import { isRolledOut } from '../../workloads/rollout.ts';
import { FIELD_MANAGER } from '../../workloads/image-owner.ts';
import { readRefresh } from '../../workloads/user-annotations.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { WorkloadFacts } from '../decide/decision.ts';
import { findPutBack } from '../decide/originals/revert.ts';
import type { FlightFacts } from '../decide/swaps/swap-in-flight.ts';
import { recallRecord } from '../memory/last-record.ts';
import type { WorkloadMemory } from '../memory/workload-memory.ts';

/** Whether somebody or something asks for another look at the copies, as it was when the look began. */
interface Recheck extends Pick<WorkloadFacts, 'isRefreshAsked' | 'hasJustRolledOut'> {
  readonly refresh: string | undefined;
  readonly sightings: number;
}

/** What is known of a workload without asking anybody. */
export interface KnownWorkload {
  readonly workload: Workload;
  readonly record: SwapRecord;
  readonly memory: WorkloadMemory;
  readonly recheck: Recheck;
}

function readRecheck(workload: Workload, memory: WorkloadMemory): Recheck {
  const refresh = readRefresh(workload.annotations);
  const { rolloutSightings: sightings, notedSightings } = memory;
  return {
    refresh,
    sightings,
    // The first value that this process sees counts as changed: that costs a look that is due anyway.
    isRefreshAsked: refresh !== undefined && refresh !== memory.refresh,
    hasJustRolledOut: sightings > notedSightings && isRolledOut(workload),
  };
}

/** What is written on the workload, or was when somebody replaced all of it and brought the originals back. */
function readRecord(workload: Workload, memory: WorkloadMemory): SwapRecord {
  const [owner] = workload.imageOwners ?? [];
  const lost = owner?.manager === FIELD_MANAGER ? undefined : recallRecord(memory, workload);
  const isBack = lost !== undefined && findPutBack(workload, lost, {}).length > 0;
  return isBack ? lost : parseRecord(workload.annotations);
}

export function knowWorkload(workload: Workload, memory: WorkloadMemory): KnownWorkload {
  const record = readRecord(workload, memory);
  return { workload, record, memory, recheck: readRecheck(workload, memory) };
}

/** It has been decided what to do about it: only what comes after it is news. */
export function noteRechecked({ memory, recheck }: KnownWorkload): void {
  memory.refresh = recheck.refresh;
  if (recheck.hasJustRolledOut) {
    memory.notedSightings = recheck.sightings;
  }
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
