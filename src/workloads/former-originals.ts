import { KINDS } from './kinds.ts';
import { type FormerOriginals, type SwapRecord, slotKey } from './record.ts';
import type { Workload } from './workload.ts';

/** As many revisions as Kubernetes keeps, unless told otherwise. */
const MOST = 10;
/** Characters, over all slots: an annotation that grows too large for us to read would cost everything in it. */
const LONGEST = 16 * 1_024;

/** The newest of them, and the newest of all in any case: a slot may hold it. */
function keepNewest(known: ReadonlyMap<string, string>, longest: number): ReadonlyMap<string, string> {
  const kept: (readonly [string, string])[] = [];
  let length = 0;
  for (const entry of [...known].slice(-MOST).toReversed()) {
    length += entry.join('').length;
    if (kept.length > 0 && length > longest) {
      break;
    }
    kept.unshift(entry);
  }
  return new Map(kept);
}

/**
 * What a new record has to say of copies that it does not name any more. Going back to an earlier revision brings a copy
 * back, and of some kinds it leaves the annotations as they are. Undefined when there is nothing to say.
 */
export function planFormer(
  { kind, slots }: Pick<Workload, 'kind' | 'slots'>,
  record: SwapRecord,
  copies: ReadonlyMap<string, string>,
): FormerOriginals | undefined {
  if (!KINDS[kind].undoLeavesAnnotations) {
    return undefined;
  }
  const entries = slots.map((slot) => {
    const key = slotKey(slot);
    const known = new Map(record.former?.get(key));
    const inUse = [
      [record.copies.get(key), record.originals.get(key)],
      [slot.image, known.get(slot.image)],
    ] as const;
    for (const [copy, original] of inUse) {
      if (copy !== undefined && original !== undefined) {
        known.delete(copy);
        known.set(copy, original);
      }
    }
    known.delete(copies.get(key) ?? '');
    return [key, keepNewest(known, LONGEST / slots.length)] as const;
  });
  const former = new Map(entries.filter(([, known]) => known.size > 0));
  return former.size > 0 ? former : undefined;
}
