import { type Clock, type TokenBucket, createTokenBucket } from '../clock.ts';
import { keepNewest } from '../keep-newest.ts';

/** Of more namespaces, those that have retried longest ago get a new budget. */
const MOST_NAMESPACES = 1_000;

export interface RetryRate {
  readonly perSecond: number;
  readonly burst: number;
}

/** How fast the failing keys of a namespace are tried again: each namespace has a budget of its own. */
export class RetryRates {
  readonly #rate: RetryRate & { readonly clock: Clock };
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(rate: RetryRate & { readonly clock: Clock }) {
    this.#rate = rate;
  }

  /** Takes one try, now or from the future; returns how long to wait for it. */
  reserveMs(namespace: string): number {
    const bucket = this.#buckets.get(namespace) ?? createTokenBucket(this.#rate);
    keepNewest(this.#buckets, [namespace, bucket], MOST_NAMESPACES);
    return bucket.reserveMs();
  }
}
