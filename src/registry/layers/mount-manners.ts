import type { Clock } from '../../clock.ts';
import { keepNewest } from '../../keep-newest.ts';
import type { MountResult } from '../manifests/layer-client.ts';

/** Backups that do not mount, as far as they have shown. */
export interface MountManners {
  mayAsk(origin: string): boolean;
  note(origin: string, result: MountResult): void;
}

interface Manner {
  readonly hasMounted: boolean;
  /** Since the last mount. */
  readonly refusals: number;
  /** Monotonic time before which nobody asks. */
  readonly againMs: number;
}

const NEW: Manner = { hasMounted: false, refusals: 0, againMs: 0 };
const PAUSE_MS = 60 * 60_000;
/** Of a registry that has mounted before: it answers alike when it does not have a layer any more. */
const MOST_REFUSALS = 5;
/** There is one; after changes of settings, a few. */
const MOST_ORIGINS = 20;

/** What is known of a backup after one more answer: one that has never mounted gets no second question for an hour. */
function judge(before: Manner, result: MountResult, nowMs: number): Manner {
  if (result === 'mounted') {
    return { hasMounted: true, refusals: 0, againMs: 0 };
  }
  if (result === 'missing') {
    return before;
  }
  const refusals = before.refusals + 1;
  const isEnough = !before.hasMounted || refusals >= MOST_REFUSALS;
  return isEnough ? { ...NEW, againMs: nowMs + PAUSE_MS } : { ...before, refusals };
}

export function createMountManners(clock: Pick<Clock, 'monotonicMs'>): MountManners {
  const known = new Map<string, Manner>();
  return {
    mayAsk: (origin) => clock.monotonicMs() >= (known.get(origin) ?? NEW).againMs,
    note(origin, result) {
      const manner = judge(known.get(origin) ?? NEW, result, clock.monotonicMs());
      keepNewest(known, [origin, manner], MOST_ORIGINS);
    },
  };
}
