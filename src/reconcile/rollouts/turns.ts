import type { Workload } from '../../workloads/workload.ts';
import type { RolloutWait } from '../decide/rollout-wait.ts';

export interface TurnFacts {
  /** Swapping, in the namespace or everywhere. */
  readonly isStopped: boolean;
  readonly freePermits: number;
  /** A workload of the namespace runs from the backup: its pods can pull there. */
  readonly isNamespaceProven: boolean;
  /** A workload of the namespace rolls out because of a swap. */
  readonly isNamespaceRolling: boolean;
}

/** Undefined: it is this workload's turn. Where nobody has pulled a copy yet, one workload tries it for all. */
export function findRolloutWait(facts: TurnFacts): RolloutWait | undefined {
  if (facts.isStopped) {
    return 'swapping stopped';
  }
  if (facts.freePermits <= 0) {
    return 'too many rollouts';
  }
  return facts.isNamespaceRolling && !facts.isNamespaceProven ? 'first swap of the namespace' : undefined;
}

/** How much a copy that cannot be pulled would cost: the order in which waiting workloads are swapped. */
export const RISKS = ['other pods serve on', 'one pod', 'a pod of every node', 'no pod serves'] as const;

export type Risk = (typeof RISKS)[number];

export function findRisk({ kind, rollout }: Pick<Workload, 'kind' | 'rollout'>): Risk {
  if (rollout.recreate) {
    return 'no pod serves';
  }
  if (kind === 'DaemonSet') {
    return 'a pod of every node';
  }
  // A StatefulSet ends a pod before it starts the new one.
  return rollout.desired >= 2 && kind !== 'StatefulSet' ? 'other pods serve on' : 'one pod';
}

/** A workload that waits for its turn. */
export interface Waiter {
  readonly key: string;
  readonly namespace: string;
  readonly risk: Risk;
  readonly purpose: 'swap' | 'restore';
}

/** Places that a namespace has left; of no namespace: one that has none yet. */
export type Room = (namespace?: string) => number;

export interface Places {
  /** By namespace. */
  readonly held: ReadonlyMap<string, number>;
  /** Those of them that others may be kept waiting for. */
  readonly shared: ReadonlyMap<string, number>;
  /** Those of `shared` that only records tell of. */
  readonly told: ReadonlyMap<string, number>;
}

/**
 * What a namespace does out of turn, as rescues, takes places of its own only. What it has by turn, or what records tell of,
 * takes those of the others as well, but never all where there are two or more: workloads that roll out for ever cost their
 * users nothing. Anybody can write a record: of those, half of the places at most is believed, for a single one that is left
 * would be a queue of its own. So there is one rollout more than places when a namespace had them all before another one came.
 */
export function createRoom({ held, shared, told }: Places, maxRollouts: number): Room {
  const most = Math.max(1, maxRollouts - 1);
  const countFor = (namespace: string): number => {
    const [count, onlyTold] = [shared.get(namespace) ?? 0, told.get(namespace) ?? 0];
    return Math.min(count - onlyTold + Math.min(onlyTold, Math.ceil(maxRollouts / 2)), most);
  };
  const all = [...shared.keys()].reduce((sum, namespace) => sum + countFor(namespace), 0);
  return (namespace = '') => maxRollouts - all + countFor(namespace) - (held.get(namespace) ?? 0);
}

export interface FreePlaces {
  readonly room: Room;
  readonly isProven: (namespace: string) => boolean;
  /** Places that each namespace has already. */
  readonly held: ReadonlyMap<string, number>;
}

/** One that comes first has fewer places in its namespace, or less risk with as many. Among equals, who has waited longest. */
function findFirst(
  waiting: readonly Waiter[],
  held: ReadonlyMap<string, number>,
  mayStart: (waiter: Waiter) => boolean,
): Waiter | undefined {
  let first: { readonly waiter: Waiter; readonly places: number; readonly risk: number } | undefined;
  for (const waiter of waiting) {
    const places = held.get(waiter.namespace) ?? 0;
    const risk = RISKS.indexOf(waiter.risk);
    const isFirst = !first || places < first.places || (places === first.places && risk < first.risk);
    if (isFirst && mayStart(waiter)) {
      first = { waiter, places, risk };
    }
  }
  return first?.waiter;
}

/**
 * Whose turn it is: namespaces take turns, so that one with many workloads, or with rollouts that never end, does not keep
 * the others waiting. Of a namespace in which no swap has succeeded yet, only one swap; what is restored has run before.
 */
export function chooseNext(
  waiting: readonly Waiter[],
  { room, isProven, held }: FreePlaces,
): readonly Waiter[] {
  const chosen = new Set<Waiter>();
  const places = new Map(held);
  const tried = new Set<string>();
  const mayStart = (waiter: Waiter): boolean =>
    !chosen.has(waiter) &&
    room(waiter.namespace) > chosen.size &&
    (waiter.purpose === 'restore' || isProven(waiter.namespace) || !tried.has(waiter.namespace));
  while (chosen.size < room()) {
    const next = findFirst(waiting, places, mayStart);
    if (!next) {
      break;
    }
    chosen.add(next);
    tried.add(next.namespace);
    places.set(next.namespace, (places.get(next.namespace) ?? 0) + 1);
  }
  return [...chosen];
}
