import { type Clock, LONGEST_TIMER_MS, orAborted } from '../../clock.ts';
import { RegistryError, type RegistrySide } from '../../errors.ts';
import { formatReference } from '../../images/reference.ts';
import type { ImageRegistry } from '../../reconcile/ports.ts';

/** Registries of which no call keeps a pass for ever. */
export interface AttendedRegistry extends ImageRegistry {
  /** How long ago the call should have ended that is most overdue; 0 when there is none. */
  longestOverdueMs(): number;
}

export interface AttendedRegistryDeps {
  readonly registry: ImageRegistry;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly copyTimeoutMs: () => number;
  /** Passes over copies at the same time: as many may be before one in a queue for its turn. */
  readonly passes: () => number;
}

/** For look-ups before and after a copy, and for ending the engine. */
const MARGIN_MS = 5 * 60_000;
/** From asking a call to end until it is left behind. */
const GIVE_UP_AFTER_MS = 60_000;

interface CallOptions {
  /** For the message, starting with a verb. */
  readonly doing: string;
  readonly side: RegistrySide;
  readonly signal: AbortSignal;
}

/** A call in progress. Its time begins anew when its turn comes. */
class Call {
  readonly #clock: AttendedRegistryDeps['clock'];
  readonly #overdue = new AbortController();
  readonly #givenUp = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Infinity;

  constructor(clock: AttendedRegistryDeps['clock']) {
    this.#clock = clock;
  }

  /** Aborted when the time is over. */
  get overdue(): AbortSignal {
    return this.#overdue.signal;
  }

  /** Aborted when it has not even ended after that. */
  get givenUp(): AbortSignal {
    return this.#givenUp.signal;
  }

  overdueMs(): number {
    return Math.max(0, this.#clock.monotonicMs() - this.#dueMs);
  }

  allow(ms: number): void {
    this.clear();
    this.#dueMs = this.#clock.monotonicMs() + ms;
    this.#timer = setTimeout(
      () => {
        this.#overdue.abort();
        this.#timer = setTimeout(() => this.#givenUp.abort(), GIVE_UP_AFTER_MS);
      },
      Math.min(ms, LONGEST_TIMER_MS),
    );
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

/**
 * Gives each call the time that a copy may take, COPY_TIMEOUT and a little more, from when it has its turn; for its turn
 * it may wait as long as all other passes may take. Every wait in the registry room has a bound of its own, far shorter: a
 * call that reaches this one is ended, so that the pass is free for other images, and one that does not even end then is told
 * to the health check.
 */
export function attendRegistry(deps: AttendedRegistryDeps): AttendedRegistry {
  const { registry } = deps;
  const calls = new Set<Call>();
  const longestMs = (): number => deps.copyTimeoutMs() + MARGIN_MS;

  async function attend<Result>(
    { doing, side, signal }: CallOptions,
    ask: (own: AbortSignal, call: Call) => Promise<Result>,
  ): Promise<Result> {
    const call = new Call(deps.clock);
    call.allow(longestMs());
    calls.add(call);
    const asked = ask(AbortSignal.any([signal, call.overdue]), call).finally(() => calls.delete(call));
    try {
      return await orAborted(asked, call.givenUp);
    } catch (error) {
      if (call.overdue.aborted && !signal.aborted) {
        throw new RegistryError(`${doing}: has not ended in time`, { reason: 'Timeout', side, cause: error });
      }
      throw error;
    } finally {
      call.clear();
    }
  }

  return {
    fetchDigest: (reference, side, signal) =>
      attend({ doing: `looking up ${formatReference(reference)}`, side, signal }, (own) =>
        registry.fetchDigest(reference, side, own),
      ),
    copy: (job, signal) =>
      attend({ doing: `copying ${formatReference(job.source)}`, side: 'source', signal }, (own, call) => {
        call.allow(deps.passes() * longestMs());
        return registry.copy({ ...job, onTurn: () => call.allow(longestMs()) }, own);
      }),
    findMissingPart: (copy, platforms, signal) =>
      attend({ doing: `looking at ${formatReference(copy)}`, side: 'backup', signal }, (own) =>
        registry.findMissingPart(copy, platforms, own),
      ),
    findAbsentParts: (image, where, signal) =>
      attend({ doing: `looking at ${formatReference(image)}`, side: where.side, signal }, (own) =>
        registry.findAbsentParts(image, where, own),
      ),
    listParts: (image, side, signal) =>
      attend({ doing: `looking at ${formatReference(image)}`, side, signal }, (own) =>
        registry.listParts(image, side, own),
      ),
    tag: (copy, tag, signal) =>
      attend({ doing: `tagging ${formatReference(copy)}`, side: 'backup', signal }, (own) =>
        registry.tag(copy, tag, own),
      ),
    isPrivate: (reference, side, signal) =>
      attend({ doing: `looking up ${formatReference(reference)}`, side, signal }, (own) =>
        registry.isPrivate(reference, side, own),
      ),
    longestOverdueMs: () => Math.max(0, ...[...calls].map((call) => call.overdueMs())),
  };
}
