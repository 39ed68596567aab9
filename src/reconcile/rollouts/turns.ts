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

export interface Places {
  /** By namespace. */
  readonly held: ReadonlyMap<string, number>;
  /** Those of them that others may be kept waiting for. */
  readonly shared: ReadonlyMap<string, number>;
}

/** Places that a namespace has left; of no namespace: one that has none yet. */
export type Room = (namespace?: string) => number;

/**
 * Shared as max-min fairness has it: against a namespace every other one counts with no more places than it would have
 * itself then. Rollouts that never end cost their users nothing, and whoever has many of them keeps nobody waiting who has
 * fewer. So there are more rollouts than places while one namespace has several that it took before another one came: of
 * five, seven with a second namespace, and ten at worst. What a namespace does out of turn, as rescues, takes places of its
 * own only.
 */
export function createRoom({ held, shared }: Places, maxRollouts: number): Room {
  const sums = new Map<number, number>();
  const sumOf = (most: number): number => {
    const known = sums.get(most);
    if (known !== undefined) {
      return known;
    }
    const sum = [...shared.values()].reduce((all, count) => all + Math.min(count, most), 0);
    sums.set(most, sum);
    return sum;
  };
  return (namespace = '') => {
    const own = held.get(namespace) ?? 0;
    const others = sumOf(own + 1) - (shared.get(namespace) ?? 0);
    return maxRollouts - others - own;
  };
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

export interface FreePlaces {
  readonly places: Places;
  readonly maxRollouts: number;
  readonly isProven: (namespace: string) => boolean;
}

/** One place more for a namespace. */
function takePlace({ held, shared }: Places, namespace: string): Places {
  const countMore = (counts: Places['held']): Places['held'] =>
    new Map(counts).set(namespace, (counts.get(namespace) ?? 0) + 1);
  return { held: countMore(held), shared: countMore(shared) };
}

/**
 * Whose turn it is: namespaces take turns, so that one with many workloads, or with rollouts that never end, does not keep
 * the others waiting. Of a namespace in which no swap has succeeded yet, only one swap; what is restored has run before.
 */
export function chooseNext(waiting: readonly Waiter[], free: FreePlaces): readonly Waiter[] {
  const { maxRollouts, isProven } = free;
  const chosen = new Set<Waiter>();
  const tried = new Set<string>();
  for (let { places } = free; ;) {
    const room = createRoom(places, maxRollouts);
    const next = findFirst(
      waiting,
      places.held,
      (waiter) =>
        !chosen.has(waiter) &&
        room(waiter.namespace) > 0 &&
        (waiter.purpose === 'restore' || isProven(waiter.namespace) || !tried.has(waiter.namespace)),
    );
    if (!next) {
      return [...chosen];
    }
    chosen.add(next);
    tried.add(next.namespace);
    places = takePlace(places, next.namespace);
  }
}
