import { Counts } from '../../counts.ts';
import type { CopyShare } from '../../reconcile/ports.ts';

/** What a copy has to wait for, and who waits for it. */
export interface CopyTurn {
  /** Undefined: of nobody that is known. */
  readonly share: CopyShare | undefined;
  /** Of the source. */
  readonly host: string;
  /** In the backup. */
  readonly repository: string;
}

/** What waits for its turn, numbered as it came. */
interface Numbered extends CopyTurn {
  readonly number: number;
}

/** A copy whose turn it is, and the namespace that had it. */
interface Running extends CopyTurn {
  readonly namespace: string;
}

/** So many that came before it can be overtaken by an urgent copy, and no more: else one could wait for ever. */
const HEAD_START = 16;
const NOBODY: CopyShare = { namespaces: [''], isAlone: true, isUrgent: false };

/** One engine is left to others, if there are any. */
function leaveRoom(concurrency: number, isAlone: boolean): number {
  return isAlone ? concurrency : Math.max(1, concurrency - 1);
}

/** The namespace of those that wait for a copy which has the fewest under way. */
function findPayer({ share }: CopyTurn, underWay: Counts): string {
  const { namespaces } = share ?? NOBODY;
  return namespaces.toSorted((a, b) => underWay.get(a) - underWay.get(b))[0] ?? '';
}

/**
 * Which of the waiting copies begins next, and for which namespace; undefined when none may. Two pushes of one layer into one
 * repository get in each other's way in many registries, so a repository has one at a time. The last engine is for a namespace
 * that has none, and one host leaves an engine to the others. Of those that may begin, the ones of the namespace that has the
 * fewest under way come first, then those that have waited longest; urgent ones get a head start.
 */
export function chooseTurn<Turn extends Numbered>(
  waiting: readonly Turn[],
  running: readonly Running[],
  concurrency: number,
): { readonly turn: Turn; readonly namespace: string } | undefined {
  if (running.length >= concurrency) {
    return undefined;
  }
  const repositories = new Set(running.map(({ repository }) => repository));
  const hosts = new Counts(running.map(({ host }) => host));
  const namespaces = new Counts(running.map(({ namespace }) => namespace));
  const isOneHost = new Set([...waiting, ...running].map(({ host }) => host)).size <= 1;
  const candidates = waiting.flatMap((turn) => {
    const { isAlone, isUrgent } = turn.share ?? NOBODY;
    const namespace = findPayer(turn, namespaces);
    const underWay = namespaces.get(namespace);
    const mayBegin =
      !repositories.has(turn.repository) &&
      hosts.get(turn.host) < leaveRoom(concurrency, isOneHost) &&
      (running.length < leaveRoom(concurrency, isAlone) || underWay === 0);
    const place = turn.number - (isUrgent ? HEAD_START : 0);
    return mayBegin ? [{ turn, namespace, underWay, place }] : [];
  });
  return candidates.toSorted((a, b) => a.underWay - b.underWay || a.place - b.place)[0];
}

interface Waiting extends Numbered {
  readonly begin: (namespace: string) => Promise<void>;
}

/** Copies that wait for an engine. */
export class CopyTurns {
  readonly #concurrency: () => number;
  readonly #waiting = new Set<Waiting>();
  readonly #running = new Set<Running>();
  #count = 0;

  /** `concurrency` is asked at every turn, so that it may change. */
  constructor(concurrency: () => number) {
    this.#concurrency = concurrency;
  }

  /**
   * Makes a copy when it is its turn, and tells it for which namespace. Aborting takes a waiting one out; one that was begun
   * has to end by itself, and keeps its turn until it has.
   */
  async run<Result>(
    turn: CopyTurn,
    copy: (namespace: string) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const begin = (namespace: string): Promise<void> => {
      signal.removeEventListener('abort', leave);
      return copy(namespace).then(resolve, reject);
    };
    this.#count += 1;
    const waiting: Waiting = { ...turn, number: this.#count, begin };
    const leave = (): void => {
      this.#waiting.delete(waiting);
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', leave, { once: true });
    this.#waiting.add(waiting);
    this.#beginSome();
    return promise;
  }

  #beginSome(): void {
    for (;;) {
      const next = chooseTurn([...this.#waiting], [...this.#running], this.#concurrency());
      if (!next) {
        return;
      }
      this.#waiting.delete(next.turn);
      const running = { ...next.turn, namespace: next.namespace };
      this.#running.add(running);
      void next.turn.begin(next.namespace).then(() => {
        this.#running.delete(running);
        this.#beginSome();
      });
    }
  }
}
