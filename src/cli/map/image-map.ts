import { type Destination, copyRepositoryOf } from '../../images/copy-name.ts';
import { formatReference } from '../../images/reference.ts';
import { findPolicy } from '../../reconcile/decide/policy.ts';
import { isCopied, type CopiedSlot } from '../../reconcile/decide/slots/planned-slot.ts';
import { planSlots, type SlotPlanFacts } from '../../reconcile/decide/slots/slot-plan.ts';
import { type WorkloadName, formatWorkloadKey } from '../../workloads/kinds.ts';
import { parseRecord } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';

/** One source, and where its copy is; part of the JSON output. */
export interface MapRow {
  readonly source: string;
  /** What the slots say once they are swapped; pinned to a digest when they are already. */
  readonly copy: string;
  readonly swapped: boolean;
  /** Those that use it, as `Deployment/shop/web`. */
  readonly workloads: readonly string[];
  /** The registry of the source, and its repository there. */
  readonly host: string;
  readonly repository: string;
  /** Host and repository of the copy. */
  readonly copyRepository: string;
}

interface Used {
  readonly plan: CopiedSlot;
  readonly workload: WorkloadName;
}

function toRow({ plan, workload }: Used, destination: Destination): MapRow {
  const { source } = plan.request;
  const repository = copyRepositoryOf(source, destination);
  const copy = { ...source, ...repository };
  return {
    source: formatReference(source),
    copy: plan.is === 'backed up' ? plan.slot.image : formatReference(copy),
    swapped: plan.is === 'backed up',
    workloads: [formatWorkloadKey(workload)],
    host: source.host,
    repository: source.repository,
    copyRepository: `${repository.host}/${repository.repository}`,
  };
}

/** Every source in use with its copy, by source. Says by name where a copy belongs, not whether it is there. */
export function mapImages(
  workloads: readonly Workload[],
  facts: Destination &
    Pick<SlotPlanFacts, 'sourceHosts'> & { readonly policies: ReadonlyMap<string, string> },
): readonly MapRow[] {
  const rows = new Map<string, MapRow>();
  for (const workload of workloads) {
    const record = parseRecord(workload.annotations);
    const policy = findPolicy(workload, facts.policies.get(workload.namespace));
    for (const plan of planSlots({ ...facts, workload, record, policy, pods: [] }).filter(isCopied)) {
      const row = toRow({ plan, workload }, facts);
      const key = `${row.source} ${row.copy}`;
      const before = rows.get(key)?.workloads ?? [];
      rows.set(key, { ...row, workloads: [...new Set([...before, ...row.workloads])] });
    }
  }
  return [...rows.values()].toSorted((a, b) => (a.source + a.copy < b.source + b.copy ? -1 : 1));
}
