import { parseWorkloadKey } from '../../workloads/kinds.ts';
import { formatFailureMemo, parseFailureMemo } from './failure-memo.ts';
import { SwapBreaker } from './swap-breaker.ts';

/** Swapping is stopped, until a time at which it goes on by itself. */
export interface SwapStop {
  /** Undefined: in all of them. */
  readonly namespace?: string;
  readonly untilMs: number;
}

/** What a process leaves to whoever leads after it. */
export interface Memo {
  /** Of the leader before; undefined when it has left nothing. */
  read(): string | undefined;
  write(text: string): void;
}

/** For a process that nobody leads after. */
export const NO_MEMO: Memo = { read: () => undefined, write: () => undefined };

export interface SwapStopsOptions {
  readonly nowMs: () => number;
  readonly memo: Memo;
  /** Called once for every stop, by the process that leads. */
  readonly onStopped: (stop: SwapStop) => void;
}

/** Where swapping is stopped; tells so, and leaves it to the next leader. */
export class SwapStops {
  readonly #options: SwapStopsOptions;
  readonly #breaker = new SwapBreaker();
  /** Namespaces whose stop is told; the empty text stands for all. */
  #told: ReadonlySet<string> = new Set();
  #isLeading = false;

  constructor(options: SwapStopsOptions) {
    this.#options = options;
  }

  /** From now on this process leads. */
  start(): void {
    const { memo, nowMs } = this.#options;
    this.#isLeading = true;
    this.#breaker.inherit(parseFailureMemo(memo.read() ?? ''), nowMs());
    this.#settle();
  }

  noteFailure(key: string): void {
    const { namespace } = parseWorkloadKey(key);
    this.#breaker.noteFailure(key, { namespace, atMs: this.#options.nowMs() });
    this.#settle();
  }

  /** Of a swap of this process, made at that time. */
  noteSuccess(namespace: string, swappedAtMs: number): void {
    this.#breaker.noteSuccess({ namespace, atMs: swappedAtMs });
    this.#settle();
  }

  reset(): void {
    this.#breaker.reset();
    this.#settle();
  }

  /** When swapping goes on by itself everywhere; undefined when it is stopped nowhere, or not everywhere. */
  findEndMs(): number | undefined {
    return this.#breaker.findStopEndMs(this.#options.nowMs());
  }

  isStopped(namespace: string): boolean {
    return this.findEndMs() !== undefined || this.listNamespaces().has(namespace);
  }

  /** Namespaces that are stopped each for itself. */
  listNamespaces(): ReadonlySet<string> {
    return new Set(this.#breaker.findNamespaceStops(this.#options.nowMs()).keys());
  }

  /** A follower tells nothing, and leaves nothing: that would take the place of what the leader writes. */
  #settle(): void {
    if (!this.#isLeading) {
      return;
    }
    const { nowMs, onStopped, memo } = this.#options;
    memo.write(formatFailureMemo(this.#breaker.history));
    const untilMs = this.findEndMs();
    const stops = new Map(this.#breaker.findNamespaceStops(nowMs()));
    const all = untilMs === undefined ? stops : stops.set('', untilMs);
    for (const [namespace, endMs] of all) {
      if (!this.#told.has(namespace)) {
        onStopped(namespace === '' ? { untilMs: endMs } : { namespace, untilMs: endMs });
      }
    }
    this.#told = new Set(all.keys());
  }
}
