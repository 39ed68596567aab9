import { quote } from '../../images/reference.ts';
import { planRestore } from '../../reconcile/decide/originals/restore.ts';
import { findOriginal } from '../../reconcile/decide/slots/slot-plan.ts';
import type { WorkloadKind } from '../../workloads/kinds.ts';
import { parseRecord, slotKey } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';

/** What would be put back in one workload; part of the JSON output. */
export interface RestoreRow {
  readonly kind: WorkloadKind;
  readonly namespace: string;
  readonly name: string;
  readonly slots: readonly { readonly slot: string; readonly from: string; readonly to: string }[];
  /** What cannot be put back, and why. */
  readonly lost: readonly string[];
}

/** Slots that hold a copy whose original cannot be told any more, because the annotations were edited. */
export function listLost(workload: Workload): readonly string[] {
  const record = parseRecord(workload.annotations);
  return workload.slots
    .filter((slot) => record.copies.get(slotKey(slot)) === slot.image && !findOriginal(slot, record))
    .map((slot) => `the original of ${slotKey(slot)} is not on record, it stays ${quote(slot.image)}`);
}

/** Undefined when the workload has nothing of ours. */
export function toRestoreRow(workload: Workload): RestoreRow | undefined {
  const patch = planRestore(workload, parseRecord(workload.annotations));
  if (!patch) {
    return undefined;
  }
  const { kind, namespace, name } = workload;
  const images = new Map(workload.slots.map((slot) => [slotKey(slot), slot.image]));
  const slots = patch.slots.map((slot) => ({
    slot: slotKey(slot),
    from: images.get(slotKey(slot)) ?? '',
    to: slot.image,
  }));
  return { kind, namespace, name, slots, lost: listLost(workload) };
}

/** What is put back, on one line. */
export function describeRestore({ slots, lost }: RestoreRow): string {
  const images = slots.map(({ slot, to }) => `${slot} to ${to}`);
  return [images.length === 0 ? 'only our annotations come off' : images.join(', '), ...lost].join('; ');
}
