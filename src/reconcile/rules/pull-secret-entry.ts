import type { SwapRecord } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { WorkloadPatch } from '../ports.ts';

/** What a patch does to `imagePullSecrets`, and which entry is ours afterwards. */
export interface EntryPlan {
  readonly patch: Pick<WorkloadPatch, 'pullSecrets'>;
  readonly record: Pick<SwapRecord, 'pullSecret'>;
}

/** The entry that a swap has added, as long as it is there. */
function findOurs(workload: Workload, record: SwapRecord): string | undefined {
  return workload.pullSecrets.find((name) => name === record.pullSecret);
}

/** The entry that a swap needs. One that the user wrote stays the user's, and is not recorded. */
export function planEntry(workload: Workload, record: SwapRecord, wanted: string | undefined): EntryPlan {
  const ours = findOurs(workload, record);
  if (wanted === undefined || wanted === ours) {
    return { patch: {}, record: ours === undefined ? {} : { pullSecret: ours } };
  }
  const isMissing = !workload.pullSecrets.includes(wanted);
  const change = {
    ...(isMissing && { add: wanted }),
    ...(ours !== undefined && { remove: ours }),
  };
  return {
    patch: Object.keys(change).length > 0 ? { pullSecrets: change } : {},
    record: isMissing ? { pullSecret: wanted } : {},
  };
}

/** Takes the entry of a swap away, because no slot holds a copy any more. */
export function planNoEntry(workload: Workload, record: SwapRecord): EntryPlan['patch'] {
  const ours = findOurs(workload, record);
  return ours === undefined ? {} : { pullSecrets: { remove: ours } };
}
