/** A line that a candidate has written. Times are of the monotonic clock of the machine, in milliseconds. */
export interface CandidateLine {
  readonly event: 'waiting' | 'leading' | 'write' | 'written' | 'failed' | 'superseded' | 'stopped';
  readonly fromMs: number;
  readonly toMs: number;
  readonly term?: number;
  readonly count?: number;
}

/** What one candidate did with one turn of leading. */
export interface Term {
  readonly identity: string;
  readonly term: number;
  /** When it held itself for the leader, for the first and for the last time: moments before a write. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Lines that are not ours, or cut off by a kill, are left out. */
export function parseCandidateLog(text: string): readonly CandidateLine[] {
  return text.split('\n').flatMap((line) => {
    try {
      const parsed = JSON.parse(line) as CandidateLine;
      return typeof parsed.event === 'string' ? [parsed] : [];
    } catch {
      return [];
    }
  });
}

/**
 * The write with which a candidate found that its term was over. client-go takes a Lease that another has had and freed for its
 * own renewal: it leads again, and does not know that others have in between. Its first try is of its old term then, and the
 * API server refuses it. Ours ends with its term, and must not even try.
 */
function isRefusedAtTheEnd(lines: readonly CandidateLine[], index: number): boolean {
  const [write, answer, next] = lines.slice(index, index + 3);
  return answer?.event === 'failed' && answer.fromMs === write?.fromMs && next?.event === 'superseded';
}

/** In the order in which they began. */
export function listTerms(logs: ReadonlyMap<string, readonly CandidateLine[]>): readonly Term[] {
  const terms = [...logs].flatMap(([identity, lines]) => {
    const isOfNewTerm = (index: number): boolean =>
      identity.startsWith('client-go') && isRefusedAtTheEnd(lines, index);
    const writes = lines.filter(({ event }, index) => event === 'write' && !isOfNewTerm(index));
    return [...Map.groupBy(writes, ({ term = 0 }) => term)].map(([term, ofTerm]) => ({
      identity,
      term,
      fromMs: Math.min(...ofTerm.map(({ toMs }) => toMs)),
      toMs: Math.max(...ofTerm.map(({ fromMs }) => fromMs)),
    }));
  });
  return terms.toSorted((one, other) => one.fromMs - other.fromMs);
}

/** Sentences about every moment at which two candidates held themselves for the leader, and every count written twice. */
export function findDoubleLeaders(logs: ReadonlyMap<string, readonly CandidateLine[]>): readonly string[] {
  const terms = listTerms(logs);
  const overlaps = terms.flatMap((later, index) =>
    terms
      .slice(0, index)
      .filter(({ identity, toMs }) => identity !== later.identity && toMs >= later.fromMs)
      .map(
        ({ identity, toMs }) =>
          `${identity} led ${toMs - later.fromMs} ms into the term of ${later.identity}`,
      ),
  );
  const counts = [...logs].flatMap(([identity, lines]) =>
    lines.filter(({ event }) => event === 'written').map(({ count }) => ({ identity, count })),
  );
  const twice = [...Map.groupBy(counts, ({ count }) => count)]
    .filter(([, writers]) => writers.length > 1)
    .map(
      ([count, writers]) =>
        `${writers.map(({ identity }) => identity).join(' and ')} wrote the count ${count}`,
    );
  return [...overlaps, ...twice];
}
