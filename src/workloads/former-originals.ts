import { KINDS } from './kinds.ts';
import type { FormerOriginals, SwapRecord } from './record.ts';
import type { Workload } from './workload.ts';

/** As many revisions as Kubernetes keeps, unless told otherwise. */
const MOST = 10;

/**
 * What a new record has to say of copies that it does not name any more. Going back to an earlier revision brings a copy
 * back, and of some kinds it leaves the annotations as they are. Undefined when there is nothing to say.
 */
export function planFormer(
  { kind }: Pick<Workload, 'kind'>,
  record: SwapRecord,
  copies: ReadonlyMap<string, string>,
): FormerOriginals | undefined {
  if (!KINDS[kind].undoLeavesAnnotations) {
    return undefined;
  }
  const keys = [...new Set([...(record.former?.keys() ?? []), ...record.originals.keys()])];
  const entries = keys.map((key) => {
    const [copy, original] = [record.copies.get(key), record.originals.get(key)];
    const known = new Map(record.former?.get(key));
    if (copy !== undefined && original !== undefined) {
      known.delete(copy);
      known.set(copy, original);
    }
    return [key, new Map([...known].filter(([one]) => one !== copies.get(key)).slice(-MOST))] as const;
  });
  const former = new Map(entries.filter(([, known]) => known.size > 0));
  return former.size > 0 ? former : undefined;
}
