export interface Places {
  /** By namespace. */
  readonly held: ReadonlyMap<string, number>;
  /** Those of them that others may be kept waiting for. */
  readonly shared: ReadonlyMap<string, number>;
  /** Namespaces that have places, wait for some, or did so a moment ago. */
  readonly active: ReadonlySet<string>;
}

/** Above 0: a namespace may take another place. */
export type Room = (namespace: string) => number;

/**
 * Places are dealt in rounds: one for every active namespace, then a second one for every one. Who wants another place gets it
 * if the rounds before can be completed for all, and those that have as many already leave one. So rollouts that never end,
 * which cost their users nothing, take their namespace's share and not those of the others: even where it has taken more
 * while nobody else was active, it counts with one place in the first round. There are more rollouts than places then, until
 * some of them end: of five, seven with a second namespace, and ten at worst. What a namespace does out of turn, as rescues, takes
 * places of its own only.
 */
export function createRoom({ held, shared, active }: Places, maxRollouts: number): Room {
  const idle = [...active].filter((namespace) => !held.has(namespace)).length;
  const known = new Map<number, number>();
  /** What all have taken, or may still take, before anybody takes a place more than `own`. */
  const sumOf = (own: number): number => {
    const countFor = ([namespace, count]: readonly [string, number]): number =>
      Math.min(own + 1, (shared.get(namespace) ?? 0) + Math.max(0, own - count));
    const sum = known.get(own) ?? [...held].map(countFor).reduce((all, count) => all + count, own * idle);
    known.set(own, sum);
    return sum;
  };
  return (namespace) => {
    const own = held.get(namespace) ?? 0;
    return maxRollouts - own - (sumOf(own) - (shared.get(namespace) ?? 0));
  };
}
