import type { Clock } from '../../clock.ts';
import type { Connection, Query } from '../connection/api-client.ts';
import { transportError } from '../connection/api-errors.ts';
import { type Deadline, createDeadline } from '../connection/deadline.ts';
import { type WatchEvent, parseWatchEvent } from './watch-events.ts';

export interface WatchStreamOptions<T> {
  readonly connection: Pick<Connection, 'watch'>;
  readonly path: string;
  readonly query: Query;
  readonly resource: string;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: () => number;
  /** Longest pause between initial events; undefined when none are expected. */
  readonly initialEventsMs: number | undefined;
  /** Takes what is needed from a raw object, which is not kept until the next one comes. */
  readonly read: (object: unknown) => T;
  readonly onActivity: () => void;
}

type Line<T> = { readonly event: WatchEvent<T> | undefined } | { readonly problem: unknown };

/** What a line means, at once; what is wrong with it, for whoever reads the stream. */
function readLine<T>(document: unknown, options: WatchStreamOptions<T>): Line<T> {
  try {
    return { event: parseWatchEvent(document, options) };
  } catch (problem) {
    return { problem };
  }
}

/** A list that takes longer than this is not going to end. */
const LONGEST_INITIAL_EVENTS_MS = 5 * 60_000;

/** The server ends the watch after a random time, so that watches do not all come back together. */
function watchSeconds(random: () => number): number {
  return Math.floor(300 + random() * 300);
}

/** One watch, read event by event. */
export class WatchStream<T> {
  readonly #options: WatchStreamOptions<T>;
  readonly #startedAtMs: number;
  readonly #deadline: Deadline;
  readonly #lines: AsyncGenerator<Line<T>, void>;
  #expectsEndOfList: boolean;
  #events = 0;

  constructor(options: WatchStreamOptions<T>) {
    const { connection, path, query, clock, random, initialEventsMs, signal } = options;
    this.#options = options;
    this.#startedAtMs = clock.monotonicMs();
    this.#deadline = createDeadline(initialEventsMs ?? LONGEST_INITIAL_EVENTS_MS, signal);
    this.#expectsEndOfList = initialEventsMs !== undefined;
    if (!this.#expectsEndOfList) {
      this.#deadline.disarm();
    }
    this.#lines = connection.watch({
      path,
      query: { ...query, allowWatchBookmarks: true, timeoutSeconds: watchSeconds(random) },
      signal: this.#deadline.signal,
      read: (document) => readLine(document, options),
    });
  }

  get events(): number {
    return this.#events;
  }

  ageMs(): number {
    return this.#options.clock.monotonicMs() - this.#startedAtMs;
  }

  /**
   * Undefined when the server has ended the watch.
   *
   * @throws {ApiError}
   */
  async next(): Promise<WatchEvent<T> | undefined> {
    const { resource, onActivity } = this.#options;
    try {
      for (let line = await this.#lines.next(); !line.done; line = await this.#lines.next()) {
        onActivity();
        this.#events += 1;
        if ('problem' in line.value) {
          throw line.value.problem;
        }
        const { event } = line.value;
        if (event) {
          this.#note(event);
          return event;
        }
      }
      return undefined;
    } catch (cause) {
      throw this.#deadline.expired
        ? transportError(`WATCH ${resource}`, {
            reason: 'NoInitialEvents',
            because: 'the list has no end',
            cause,
          })
        : cause;
    }
  }

  /** Safe at any time, also twice. */
  async close(): Promise<void> {
    this.#deadline.clear();
    await this.#lines.return();
  }

  #note(event: WatchEvent<T>): void {
    if (!this.#expectsEndOfList) {
      return;
    }
    if (event.type === 'BOOKMARK' && event.endsInitialEvents) {
      this.#expectsEndOfList = false;
      this.#deadline.disarm();
    } else if (event.type === 'ADDED' && this.ageMs() < LONGEST_INITIAL_EVENTS_MS) {
      this.#deadline.restart();
    }
  }
}
