const FEWEST_ROUNDS = 5;
const MOST_ROUNDS = 40;

function measureMs(work: () => unknown): number {
  const startedAtMs = performance.now();
  work();
  return performance.now() - startedAtMs;
}

/** More than with four times as much when each thing is looked at once, far less than when each is compared with each. */
export const LINEAR = 9;

/**
 * How many times longer work takes with four times as much of everything: about 4 when each thing is looked at once, 16 when
 * each is compared with each. `prepare` is not measured.
 *
 * The quickest of several runs counts, because whatever else the machine does can only make a run longer. On a busy machine
 * that takes more of them: it is repeated until the growth is below `limit`, or will not get there.
 */
export function measureGrowth<T>({
  prepare,
  work,
  size,
  limit = LINEAR,
}: {
  readonly prepare: (size: number) => T;
  readonly work: (input: T) => unknown;
  readonly size: number;
  readonly limit?: number;
}): number {
  const [small, large] = [prepare(size), prepare(4 * size)];
  let [smallMs, largeMs] = [Infinity, Infinity];
  for (let round = 1; round <= MOST_ROUNDS; round += 1) {
    smallMs = Math.min(
      smallMs,
      measureMs(() => work(small)),
    );
    largeMs = Math.min(
      largeMs,
      measureMs(() => work(large)),
    );
    if (round >= FEWEST_ROUNDS && largeMs / smallMs < limit) {
      break;
    }
  }
  return largeMs / smallMs;
}
