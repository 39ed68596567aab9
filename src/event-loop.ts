import { setImmediate as untilNextTurn } from 'node:timers/promises';

import type { Clock } from './clock.ts';

/** For how long one thing may keep all others waiting: answers, renewals of the Lease, health checks. */
export const LONGEST_TURN_MS = 10;

/** Goes through steps that need nobody else, and lets others have their turn again and again. */
export async function takeTurns(steps: Iterable<unknown>, clock: Pick<Clock, 'monotonicMs'>): Promise<void> {
  let startedAtMs = clock.monotonicMs();
  const iterator = steps[Symbol.iterator]();
  while (iterator.next().done !== true) {
    if (clock.monotonicMs() - startedAtMs >= LONGEST_TURN_MS) {
      await untilNextTurn();
      startedAtMs = clock.monotonicMs();
    }
  }
}

/** Says when what is started in one turn of the event loop is enough, and then tells when the next turn begins. */
export class LoopTurn {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #onNext: () => void;
  #now: { readonly startedAtMs: number; readonly next: NodeJS.Immediate; isOver: boolean } | undefined;

  constructor(clock: Pick<Clock, 'monotonicMs'>, onNext: () => void) {
    this.#clock = clock;
    this.#onNext = onNext;
  }

  /** To be asked before anything is started. */
  isOver(): boolean {
    const nowMs = this.#clock.monotonicMs();
    this.#now ??= { startedAtMs: nowMs, next: setImmediate(() => this.#endTurn()), isOver: false };
    this.#now.isOver ||= nowMs - this.#now.startedAtMs >= LONGEST_TURN_MS;
    return this.#now.isOver;
  }

  /** No turn is told any more. */
  cancel(): void {
    clearImmediate(this.#now?.next);
    this.#now = undefined;
  }

  #endTurn(): void {
    const isKeptWaiting = this.#now?.isOver === true;
    this.#now = undefined;
    // Whoever has never been told to wait has nothing to go on with: telling it would never end.
    if (isKeptWaiting) {
      this.#onNext();
    }
  }
}
