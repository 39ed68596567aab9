import { type SwapRecord, parseRecord, slotKey } from '../../../workloads/record.ts';
import type { FormerTemplate, Slot } from '../../../workloads/workload.ts';
import { type RevertFacts, findPutBack } from './revert.ts';

/** True when the record is of a later swap, or says more of the same. */
function isNewer(a: SwapRecord, b: SwapRecord): boolean {
  const knowsRevert = ({ reverts, swappedAtMs }: SwapRecord): boolean => reverts?.ofMs === swappedAtMs;
  return a.swappedAtMs === b.swappedAtMs ? knowsRevert(a) && !knowsRevert(b) : a.swappedAtMs > b.swappedAtMs;
}

/** A record alone is anybody's word: a template of the workload has to have held what it calls our copies. */
function hasRun(record: SwapRecord, slots: readonly Slot[], formers: readonly FormerTemplate[]): boolean {
  return formers.some((former) => {
    const images = new Map(former.slots.map((slot) => [slotKey(slot), slot.image]));
    return slots.every((slot) => images.get(slotKey(slot)) === record.copies.get(slotKey(slot)));
  });
}

/**
 * The record that a Deployment has lost: going back to an older revision replaces all its annotations. Undefined
 * when the newest record there is, its own or that of a ReplicaSet, says that its originals (or an earlier copy, where tags are followed) were not put back.
 */
export function findFormerRecord(
  { workload, nowMs, followsTags = false }: Pick<RevertFacts, 'workload' | 'nowMs' | 'followsTags'>,
  formers: readonly FormerTemplate[],
): SwapRecord | undefined {
  const own = parseRecord(workload.annotations);
  const [newest] = formers
    .map(({ annotations }) => parseRecord(annotations))
    .filter((record) => record.uid === workload.uid && record.swappedAtMs <= nowMs && isNewer(record, own))
    .toSorted((a, b) => Number(isNewer(b, a)) - Number(isNewer(a, b)));
  const slots = newest ? findPutBack(workload, newest, { followsTags }) : [];
  return newest && slots.length > 0 && hasRun(newest, slots, formers) ? newest : undefined;
}
