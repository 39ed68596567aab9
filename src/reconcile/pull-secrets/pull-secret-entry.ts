import type { SwapRecord } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { WorkloadPatch } from '../ports.ts';

/** What a patch does to `imagePullSecrets`, and which entries are ours afterwards. */
export interface EntryPlan {
  readonly patch: Pick<WorkloadPatch, 'pullSecrets'>;
  readonly record: Pick<SwapRecord, 'pullSecret' | 'keptSecrets'>;
}

/** What an entry is planned for. */
export interface EntryFacts {
  readonly workload: Workload;
  readonly record: SwapRecord;
  /** Names of the `imagePullSecrets` of its pods. */
  readonly podSecrets?: readonly string[];
}

/** Of the entries that a swap has added, those that are still there. */
function findOurs({ pullSecrets }: Workload, record: SwapRecord): EntryPlan['record'] {
  const ours = pullSecrets.find((name) => name === record.pullSecret);
  const others = pullSecrets.filter((name) => name !== ours);
  // Once somebody has added an entry, the ServiceAccount gives none any more: the rest is theirs, too.
  const areKept = others.every((name) => record.keptSecrets?.includes(name));
  const kept = areKept ? others : [];
  return {
    ...(ours !== undefined && { pullSecret: ours }),
    ...(kept.length > 0 && { keptSecrets: kept }),
  };
}

/**
 * Kubernetes gives the entries of a ServiceAccount only to pods whose template has none: the first one that is written
 * there would take them away, and with them the images that are not copied.
 */
function findAccountSecrets(
  { workload, record, podSecrets = [] }: EntryFacts,
  wanted: string,
): readonly string[] {
  const isOurs = (name: string): boolean => name === wanted || name === record.pullSecret;
  return workload.pullSecrets.length > 0 ? [] : podSecrets.filter((name) => !isOurs(name));
}

/** The entries that a swap needs. One that the user wrote stays the user's, and is not recorded. */
export function planEntry(facts: EntryFacts, wanted: string | undefined): EntryPlan {
  const { workload, record } = facts;
  const ours = findOurs(workload, record);
  if (wanted === undefined || wanted === ours.pullSecret) {
    return { patch: {}, record: ours };
  }
  const isMissing = !workload.pullSecrets.includes(wanted);
  const found = findAccountSecrets(facts, wanted);
  const add = isMissing ? [wanted, ...found] : [];
  const remove = ours.pullSecret === undefined ? [] : [ours.pullSecret];
  const keptSecrets = [...(ours.keptSecrets ?? []), ...found];
  return {
    patch: add.length + remove.length > 0 ? { pullSecrets: { add, remove } } : {},
    record: {
      ...(isMissing && { pullSecret: wanted }),
      ...(keptSecrets.length > 0 && { keptSecrets }),
    },
  };
}

/** Takes the entries of a swap away, because no slot holds a copy any more. */
export function planNoEntry(workload: Workload, record: SwapRecord): EntryPlan['patch'] {
  const { pullSecret, keptSecrets = [] } = findOurs(workload, record);
  const remove = [...(pullSecret === undefined ? [] : [pullSecret]), ...keptSecrets];
  return remove.length === 0 ? {} : { pullSecrets: { add: [], remove } };
}
