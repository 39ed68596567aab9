import type { Clock } from '../../clock.ts';
import { keepNewest } from '../../keep-newest.ts';

/** The same again within this time continues a series. */
const SERIES_MS = 10 * 60_000;
/** How often a series that goes on is told, after its first repetition. */
const BETWEEN_UPDATES_MS = 60_000;
const MOST_REMEMBERED = 5_000;

/** What to send about something that has happened: nothing, when it was told a moment ago. */
export type Telling =
  | { readonly kind: 'new' }
  | { readonly kind: 'again'; readonly name: string; readonly count: number }
  | { readonly kind: 'nothing' };

interface Series {
  readonly name: string;
  count: number;
  seenAtMs: number;
  toldAtMs: number;
}

/** Remembers for a while what was told, under which name, and how often it has happened since. */
export class EventMemory {
  readonly #clock: Clock;
  readonly #told = new Map<string, Series>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `text` stands for everything that makes two events the same; `name` is what a new one would be called. */
  notice(text: string, name: string): Telling {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#told.get(text);
    if (!known || nowMs - known.seenAtMs >= SERIES_MS) {
      const told = { name, count: 1, seenAtMs: nowMs, toldAtMs: nowMs };
      keepNewest(this.#told, [text, told], MOST_REMEMBERED);
      return { kind: 'new' };
    }
    keepNewest(this.#told, [text, known], MOST_REMEMBERED);
    known.count += 1;
    known.seenAtMs = nowMs;
    if (known.count > 2 && nowMs - known.toldAtMs < BETWEEN_UPDATES_MS) {
      return { kind: 'nothing' };
    }
    known.toldAtMs = nowMs;
    return { kind: 'again', name: known.name, count: known.count };
  }
}
