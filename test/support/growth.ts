const RUNS = 9;

/** The quickest of several runs: whatever else the machine does can only make a run longer. */
function measureMs(work: () => unknown): number {
  let bestMs = Infinity;
  for (let run = 0; run < RUNS; run += 1) {
    const startedAtMs = performance.now();
    work();
    bestMs = Math.min(bestMs, performance.now() - startedAtMs);
  }
  return bestMs;
}

/**
 * How many times longer work takes with four times as much of everything: about 4 when each thing is looked at once, 16 when
 * each is compared with each. `prepare` is not measured.
 */
export function measureGrowth<T>(
  prepare: (size: number) => T,
  work: (input: T) => unknown,
  size: number,
): number {
  const [small, large] = [prepare(size), prepare(4 * size)];
  return measureMs(() => work(large)) / measureMs(() => work(small));
}

/** Between both. */
export const LINEAR = 9;
