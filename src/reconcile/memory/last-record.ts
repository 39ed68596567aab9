import { type SwapRecord, hasRecord, parseRecord } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { WorkloadMemory } from './workload-memory.ts';

/** In characters: more of it is as good as what is lost with a restart. */
const LONGEST = 16_384;

type Remembering = Pick<WorkloadMemory, 'lastRecord'>;

/**
 * Remembers what was written down of a swap. Whoever replaces a whole object (`kubectl replace`, Argo CD with Replace=true)
 * takes that off with everything else: without this it would be swapped again for ever. The revisions of a Deployment keep
 * it anyway, if it keeps any.
 */
export function noteRecord(
  memory: Remembering,
  { kind, keepsNoRevisions = false }: Pick<Workload, 'kind' | 'keepsNoRevisions'>,
  annotations: Readonly<Record<string, string | null>>,
): void {
  const texts = Object.entries(annotations).filter((entry): entry is [string, string] => entry[1] !== null);
  const written = Object.fromEntries(texts.filter(([key]) => hasRecord({ [key]: '' })));
  const isShort = texts.reduce((sum, [, text]) => sum + text.length, 0) <= LONGEST;
  const isKept = kind === 'Deployment' && !keepsNoRevisions;
  if (!isKept && Object.keys(written).length > 0 && isShort) {
    memory.lastRecord = written;
  }
}

/** The last record of a workload that has none any more; undefined when none is known. */
export function recallRecord({ lastRecord }: Remembering, workload: Workload): SwapRecord | undefined {
  return lastRecord && !hasRecord(workload.annotations) ? parseRecord(lastRecord) : undefined;
}
