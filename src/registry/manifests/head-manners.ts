import type { Clock } from '../../clock.ts';
import { keepNewest } from '../../keep-newest.ts';

/**
 * Which registries answer HEAD as they answer GET. Proxies in front of some know only GET, and answer the other with 404 or
 * a refusal, as if there were no such image. By host and port of the registry API.
 */
export interface HeadManners {
  /** `unknown` until it has answered one way or the other, and again after a day. */
  find(host: string): HeadManner;
  note(host: string, manner: Exclude<HeadManner, 'unknown'>): void;
}

/** With what status it answers wrongly. */
export type HeadManner = 'right' | 'unknown' | { readonly wrong: number };

const KEPT_MS = 24 * 60 * 60_000;
/** Workloads name the hosts: of any number of them, the oldest are forgotten. */
const MOST_HOSTS = 1_000;

export function createHeadManners(clock: Pick<Clock, 'monotonicMs'>): HeadManners {
  const known = new Map<string, { readonly manner: HeadManner; readonly untilMs: number }>();
  return {
    find(host) {
      const entry = known.get(host);
      return entry && clock.monotonicMs() < entry.untilMs ? entry.manner : 'unknown';
    },
    note(host, manner) {
      keepNewest(known, [host, { manner, untilMs: clock.monotonicMs() + KEPT_MS }], MOST_HOSTS);
    },
  };
}

/** Those with which HEAD has been answered where GET would have found an image. */
const DOUBTED: ReadonlySet<number> = new Set([400, 403, 404, 405, 406, 501]);

/** Whether an answer to HEAD says so little that GET has to be asked as well. A registry that does not know HEAD says so. */
export function isHeadDoubted(status: number, manner: HeadManner): boolean {
  return status === 405 || (manner !== 'right' && DOUBTED.has(status));
}
