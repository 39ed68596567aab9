import type { Clock } from '../../clock.ts';
import type { RegistrySide } from '../../errors.ts';
import { keepNewest } from '../../keep-newest.ts';

/**
 * Which repositories are answered otherwise to HEAD than to GET. Proxies in front of some registries know only GET, and answer
 * the other with 404 or a refusal, as if there were no such image. By repository, each with its host: whoever has one must not
 * decide how those of others are asked, for a GET may count as a download.
 */
export interface HeadManners {
  /** With what status HEAD was answered wrongly; undefined when that was not seen, or a day ago. */
  findWrong(repository: string): number | undefined;
  /** Returns whether this is the first one of the host that day. */
  noteWrong(place: { readonly host: string; readonly repository: string }, status: number): boolean;
  /**
   * It has answered HEAD rightly that day. Such a backup is believed when it does not have a copy, and such a source where a
   * second opinion would cost a download that is kept.
   */
  isRight(host: string): boolean;
  noteRight(host: string): void;
}

const KEPT_MS = 24 * 60 * 60_000;
/** Workloads name them: of any number, the oldest are forgotten. */
const MOST_KEPT = 1_000;

export function createHeadManners(clock: Pick<Clock, 'monotonicMs'>): HeadManners {
  const wrong = createDayMemory<number>(clock);
  const told = createDayMemory<true>(clock);
  const right = createDayMemory<true>(clock);
  return {
    findWrong: (repository) => wrong.find(repository),
    noteWrong({ host, repository }, status) {
      const isFirst = told.find(host) === undefined;
      wrong.keep(repository, status);
      if (isFirst) {
        told.keep(host, true);
      }
      return isFirst;
    },
    isRight: (host) => right.find(host) === true,
    noteRight: (host) => right.keep(host, true),
  };
}

function createDayMemory<Value>(clock: Pick<Clock, 'monotonicMs'>) {
  const known = new Map<string, { readonly value: Value; readonly untilMs: number }>();
  return {
    find(key: string): Value | undefined {
      const entry = known.get(key);
      return entry && clock.monotonicMs() < entry.untilMs ? entry.value : undefined;
    },
    keep(key: string, value: Value): void {
      keepNewest(known, [key, { value, untilMs: clock.monotonicMs() + KEPT_MS }], MOST_KEPT);
    },
  };
}

/** Those with which HEAD has been answered where GET would have found an image. */
const DOUBTED: ReadonlySet<number> = new Set([400, 403, 404, 405, 406, 501]);

/** Whether an answer to HEAD says so little that GET has to be asked as well. A registry that does not know HEAD says so. */
export function isHeadDoubted(
  status: number,
  { side, isRight }: { readonly side: RegistrySide; readonly isRight: boolean },
): boolean {
  return status === 405 || (DOUBTED.has(status) && !(side === 'backup' && isRight));
}
