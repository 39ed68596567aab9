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
