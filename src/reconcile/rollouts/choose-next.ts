import { type Places, type Room, createRoom } from './room.ts';
import { RISKS, type Risk } from './turns.ts';

export interface WaiterFacts {
  readonly key: string;
  readonly namespace: string;
  readonly risk: Risk;
  readonly purpose: 'swap' | 'restore';
}

/** A workload that waits for its turn. */
export interface Waiter extends WaiterFacts {
  /** In the order in which they came. */
  readonly place: number;
}

/** Those of one namespace that wait. */
export interface NamespaceLine {
  /** How many of them wait for a restore. */
  readonly restores: number;
  /** By key; who has waited longest comes first. */
  readonly byRisk: ReadonlyMap<Risk, ReadonlyMap<string, Waiter>>;
}

export interface FreePlaces {
  readonly places: Places;
  readonly maxRollouts: number;
  /** Whether a swap may begin in a namespace at all. */
  readonly maySwap: (namespace: string) => boolean;
  readonly isProven: (namespace: string) => boolean;
}

/**
 * Those of a namespace that may start, in the order in which they come. Where no swap has succeeded yet, only one may try it;
 * what is restored has run before.
 */
function* lineUp(
  { byRisk }: NamespaceLine,
  maySwap: boolean,
  isProven: boolean,
): Generator<Waiter, undefined> {
  let isFirst = true;
  for (const risk of RISKS) {
    for (const waiter of byRisk.get(risk)?.values() ?? []) {
      if (waiter.purpose === 'restore' || (maySwap && (isProven || isFirst))) {
        isFirst = false;
        yield waiter;
      }
    }
  }
}

interface Head {
  readonly waiter: Waiter;
  readonly rest: Generator<Waiter, undefined>;
}

function takeHead(rest: Generator<Waiter, undefined>): Head | undefined {
  const { value: waiter } = rest.next();
  return waiter && { waiter, rest };
}

function compare(one: Waiter, other: Waiter): number {
  return RISKS.indexOf(one.risk) - RISKS.indexOf(other.risk) || one.place - other.place;
}

/** Those whose namespaces have the fewest places of all that have room; the least risk first, and then who has waited longest. */
function listNextRound(heads: Iterable<Head>, { held }: Places, room: Room): readonly Head[] {
  const mayStart = [...heads].filter(({ waiter }) => room(waiter.namespace) > 0);
  const countFor = ({ waiter }: Head): number => held.get(waiter.namespace) ?? 0;
  const fewest = mayStart.reduce((least, head) => Math.min(least, countFor(head)), Infinity);
  return mayStart
    .filter((head) => countFor(head) === fewest)
    .toSorted((one, other) => compare(one.waiter, other.waiter));
}

/**
 * Whose turn it is: namespaces take turns, so that one with many workloads, or with rollouts that never end, does not keep
 * the others waiting. The work grows with the namespaces that wait, not with the workloads of one of them.
 */
export function chooseNext(
  waiting: ReadonlyMap<string, NamespaceLine>,
  { places: { held, shared, active }, maxRollouts, maySwap, isProven }: FreePlaces,
): readonly Waiter[] {
  const places = { held: new Map(held), shared: new Map(shared), active };
  const roomAtFirst = createRoom(places, maxRollouts);
  const heads = new Map<string, Head>();
  const setHead = (namespace: string, head: Head | undefined): void =>
    void (head ? heads.set(namespace, head) : heads.delete(namespace));
  for (const [namespace, line] of waiting) {
    if (roomAtFirst(namespace) > 0 && (line.restores > 0 || maySwap(namespace))) {
      setHead(namespace, takeHead(lineUp(line, maySwap(namespace), isProven(namespace))));
    }
  }
  const chosen: Waiter[] = [];
  const choose = ({ waiter, rest }: Head): void => {
    chosen.push(waiter);
    setHead(waiter.namespace, takeHead(rest));
    for (const counts of [places.held, places.shared]) {
      counts.set(waiter.namespace, (counts.get(waiter.namespace) ?? 0) + 1);
    }
  };
  for (;;) {
    const round = listNextRound(heads.values(), places, createRoom(places, maxRollouts));
    if (round.length === 0) {
      return chosen;
    }
    for (const head of round) {
      if (createRoom(places, maxRollouts)(head.waiter.namespace) > 0) {
        choose(head);
      }
    }
  }
}
