import type { Logger } from 'pino';

import { type Clock, wait } from '../../clock.ts';
import { ApiError } from '../../errors.ts';
import { takeTurns } from '../../event-loop.ts';
import type { Connection, Query } from '../connection/api-client.ts';
import { transportError } from '../connection/api-errors.ts';
import { listPages } from './list-pages.ts';
import { type OnChange, type ReadObject, ObjectCache, collect } from './object-cache.ts';
import type { NamespaceShare, ObjectSet } from './object-set.ts';
import { createReflectorBackoff } from './reflector-backoff.ts';
import { type TroubleLog, createTroubleLog } from './trouble-log.ts';
import { WatchStream } from './watch-stream.ts';

export interface ReflectorOptions<T> {
  readonly connection: Pick<Connection, 'request' | 'watch'>;
  /** Of the list, as `/apis/apps/v1/deployments` or `/api/v1/namespaces/x/configmaps`. */
  readonly path: string;
  /** To see only some objects, as `{ fieldSelector: 'metadata.name=x' }`. */
  readonly query?: Query;
  /** For messages and metrics, as `deployments`. */
  readonly resource: string;
  /** Takes what is needed from a raw object; undefined: the object is not wanted. */
  readonly project: (object: unknown) => T | undefined;
  /** How much of one namespace is kept; undefined: all. */
  readonly share?: NamespaceShare<T>;
  readonly onChange: OnChange<T>;
  /** Told when the server begins to refuse the list (403), at every further refusal, and with 0 when that is over. */
  readonly onForbidden?: (refusals: number) => void;
  /** For a metric: the watch did not simply go on. */
  readonly onRestart?: (reason: string) => void;
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
  readonly clock: Clock;
  readonly random: () => number;
}

/** A local copy of a list in the API server, kept up to date for as long as it runs. */
export interface Reflector<T> {
  /** Returns once the signal is aborted, never throws: whatever fails is tried again. */
  run(signal: AbortSignal): Promise<void>;
  /** Settles when the first complete list was delivered to `onChange`; never, if that does not happen. */
  readonly synced: Promise<void>;
  hasSynced(): boolean;
  /** By `namespace/name`. */
  get(key: string): T | undefined;
  list(): T[];
  /** How long nothing has happened, not even a failed attempt. Minutes are normal, a quarter of an hour is not. */
  lastActivityAgeMs(): number;
}

/** A stream without the end of its initial events: the server is too old for them, or in trouble. */
const INITIAL_EVENTS_MS = 30_000;
/** How long to be content with lists after a server did not know streams of initial events. */
const PREFER_LISTS_MS = 60 * 60_000;
const SHORT_WATCH_MS = 1_000;
/** No user can have the list read more often than this by filling a namespace and emptying it. */
const LIST_AGAIN_MS = 10 * 60_000;

function isOneOf(error: unknown, statuses: readonly number[]): boolean {
  return error instanceof ApiError && statuses.includes(error.status);
}

function isTransport(error: unknown, reasons: readonly string[]): boolean {
  return error instanceof ApiError && error.status === 0 && reasons.includes(error.reason);
}

type Stream<T> = WatchStream<ReadObject<T> | undefined>;

class ListWatcher<T> implements Reflector<T> {
  readonly #options: ReflectorOptions<T>;
  readonly #cache: ObjectCache<T>;
  readonly #nextDelayMs: () => number;
  readonly #trouble: TroubleLog;
  readonly #synced = Promise.withResolvers<void>();
  #isSynced = false;
  /** From where a watch can go on. */
  #resourceVersion = '';
  #preferListsUntilMs = -Infinity;
  #listedAtMs = -Infinity;
  #activeAtMs: number;

  constructor(options: ReflectorOptions<T>) {
    const { clock, random, log, resource, onChange } = options;
    this.#options = options;
    this.#cache = new ObjectCache({
      project: options.project,
      share: options.share,
      onChange: (key, now, before) => {
        try {
          onChange(key, now, before);
        } catch (err) {
          log.error({ err, resource, key }, 'change handler failed');
        }
      },
    });
    this.#nextDelayMs = createReflectorBackoff(clock, random);
    this.#trouble = createTroubleLog(log, resource, options.onForbidden);
    this.#activeAtMs = clock.monotonicMs();
  }

  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  hasSynced(): boolean {
    return this.#isSynced;
  }

  get(key: string): T | undefined {
    return this.#cache.get(key);
  }

  list(): T[] {
    return this.#cache.values();
  }

  lastActivityAgeMs(): number {
    return this.#options.clock.monotonicMs() - this.#activeAtMs;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#listAndWatch(signal);
      } catch (error) {
        await this.#rest(error, signal);
      }
    }
  }

  /** Waits before the next attempt, unless it was the signal that ended the last one. */
  async #rest(error: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) {
      return;
    }
    this.#trouble.report(error);
    this.#options.onRestart?.(error instanceof ApiError ? error.reason : 'Bug');
    const retryAfterMs = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
    this.#touch();
    await wait(Math.max(this.#nextDelayMs(), retryAfterMs), signal);
    this.#touch();
  }

  #touch(): void {
    this.#activeAtMs = this.#options.clock.monotonicMs();
  }

  /** Begins with a complete list, then follows changes for as long as that is possible, and good, without another one. */
  async #listAndWatch(signal: AbortSignal): Promise<void> {
    let stream = await this.#synchronize(signal);
    while (!signal.aborted) {
      stream ??= this.#openWatch(signal);
      try {
        await this.#follow(stream);
        if (this.#isListDue()) {
          this.#options.onRestart?.('RoomAgain');
          return;
        }
      } catch (error) {
        if (!isOneOf(error, [429]) && !isTransport(error, ['Unreachable'])) {
          throw error;
        }
        // The server is busy or away: what we know is still good.
        await this.#rest(error, signal);
      } finally {
        await stream.close();
        stream = undefined;
      }
    }
  }

  /** Returns the stream that goes on after the list, if there is one. */
  async #synchronize(signal: AbortSignal): Promise<Stream<T> | undefined> {
    const { clock, log, resource } = this.#options;
    if (clock.monotonicMs() >= this.#preferListsUntilMs) {
      try {
        return await this.#streamList(signal);
      } catch (error) {
        if (
          signal.aborted ||
          isOneOf(error, [401, 403, 404, 410, 429]) ||
          isTransport(error, ['Unreachable'])
        ) {
          throw error;
        }
        log.debug({ err: error, resource }, 'no list as a stream, reading pages instead');
        if (isOneOf(error, [400, 422]) || isTransport(error, ['NoInitialEvents'])) {
          this.#preferListsUntilMs = clock.monotonicMs() + PREFER_LISTS_MS;
        }
      }
    }
    await this.#pageList(signal);
    return undefined;
  }

  /** The list as the first events of a watch: no page of whole objects is ever in memory. */
  async #streamList(signal: AbortSignal): Promise<Stream<T>> {
    const stream = this.#openWatch(signal, {
      sendInitialEvents: true,
      resourceVersionMatch: 'NotOlderThan',
    });
    const found = this.#cache.createSet();
    try {
      for (let event = await stream.next(); event; event = await stream.next()) {
        if (event.type === 'BOOKMARK' && event.endsInitialEvents) {
          await this.#replace(found, event.resourceVersion);
          return stream;
        }
        if (event.type !== 'BOOKMARK') {
          collect(found, event);
        }
      }
      throw transportError(`WATCH ${this.#options.resource}`, {
        reason: 'WatchCut',
        because: 'the stream ended before the list was complete',
      });
    } catch (error) {
      await stream.close();
      throw error;
    }
  }

  async #pageList(signal: AbortSignal): Promise<void> {
    const { connection, path, query } = this.#options;
    const found = this.#cache.createSet();
    const resourceVersion = await listPages(connection, { path, query, signal }, (item) => {
      this.#touch();
      collect(found, { type: 'ADDED', object: this.#cache.read(item) });
    });
    await this.#replace(found, resourceVersion);
  }

  async #replace(found: ObjectSet<T>, resourceVersion: string): Promise<void> {
    this.#resourceVersion = resourceVersion;
    this.#listedAtMs = this.#options.clock.monotonicMs();
    await takeTurns(this.#cache.replace(found), this.#options.clock);
    this.#trouble.settle();
    if (!this.#isSynced) {
      this.#isSynced = true;
      this.#options.log.info(
        { resource: this.#options.resource, objects: this.#cache.size },
        'cache is complete',
      );
      this.#synced.resolve();
    }
  }

  #openWatch(signal: AbortSignal, query?: Query): Stream<T> {
    return new WatchStream({
      ...this.#options,
      query: { ...this.#options.query, ...(query ?? { resourceVersion: this.#resourceVersion }) },
      signal,
      initialEventsMs: query ? INITIAL_EVENTS_MS : undefined,
      read: (object) => this.#cache.read(object),
      onActivity: () => this.#touch(),
    });
  }

  /** What there was no room for comes with no event: it has not changed. */
  #isListDue(): boolean {
    return this.#cache.hasRoomAgain && this.#options.clock.monotonicMs() - this.#listedAtMs >= LIST_AGAIN_MS;
  }

  /**
   * Applies changes until another list is due, or the server ends the watch; a connection that breaks is one way to end it.
   *
   * @throws {ApiError} when going on from here needs more than another watch.
   */
  async #follow(stream: Stream<T>): Promise<void> {
    try {
      for (let event = await stream.next(); event; event = await stream.next()) {
        if (event.type !== 'BOOKMARK' && event.object) {
          const { key, kept } = event.object;
          this.#cache.set({ key, kept: event.type === 'DELETED' ? undefined : kept });
        }
        this.#resourceVersion = event.resourceVersion;
        this.#trouble.settle();
        if (this.#isListDue()) {
          return;
        }
      }
    } catch (error) {
      if (!isTransport(error, ['WatchCut', 'WatchSilent'])) {
        throw error;
      }
    }
    if (stream.events === 0 && stream.ageMs() < SHORT_WATCH_MS) {
      throw transportError(`WATCH ${this.#options.resource}`, {
        reason: 'WatchCut',
        because: 'the watch ended at once and without an event',
      });
    }
  }
}

export function createReflector<T>(options: ReflectorOptions<T>): Reflector<T> {
  return new ListWatcher(options);
}
