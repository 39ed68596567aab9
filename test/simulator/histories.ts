import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { KIND_NAMES, type KindName } from './kind-models.ts';
import { RUNTIMES } from './node-model.ts';
import { type Conditions, NAMES, POD_PREVIEWS, STEPS, type Step, World } from './world.ts';

/** `make test` asks for more of them than `make check`. Half of them each, so that two processors have work. */
const HISTORIES = Math.ceil(Number(process.env['SIMULATOR_HISTORIES'] ?? 100) / 2);
/** The same histories each time, so that what fails is what has changed; another number is another two thousand. */
const SEED = Number(process.env['SIMULATOR_SEED'] ?? 7);
/** A machine that does much else at the same time needs minutes for two thousand. */
const LONGEST_MS = 480_000;
const step: fc.Arbitrary<Step> = fc.record({ op: fc.nat({ max: STEPS - 1 }), pick: fc.nat({ max: 4095 }) });
/** Half of the workloads are Deployments. */
const kind = fc.constantFrom(...KIND_NAMES.map((): KindName => 'Deployment').slice(1), ...KIND_NAMES);
const kinds = fc.array(kind, { minLength: 2, maxLength: NAMES.length });
const conditions: fc.Arbitrary<Conditions> = fc.record({
  podPreviews: fc.constantFrom(...POD_PREVIEWS),
  runtimes: fc.array(fc.constantFrom(...RUNTIMES), { minLength: 2, maxLength: 2 }),
  maxRollouts: fc.constantFrom(1, 2),
});

/** Time passes when a world says so. */
export function useModelTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
  });

  afterEach(() => {
    vi.useRealTimers();
  });
}

/** Runs a history, and says how it came to what is broken. */
export async function tell(world: World, history: () => Promise<void>): Promise<void> {
  try {
    await history();
  } catch (error) {
    throw new Error(`${String(error)}\n\nHow it came to that:\n${world.story.join('\n')}`, { cause: error });
  } finally {
    vi.clearAllTimers();
  }
}

async function live(
  workloads: readonly KindName[],
  steps: readonly Step[],
  usual: Conditions,
): Promise<void> {
  const world = new World(workloads, usual);
  await tell(world, async () => {
    // A third of the histories begin with a cluster that is backed up.
    if (steps.length % 3 === 0) {
      await world.rest();
    }
    for (const one of steps) {
      await world.take(one);
    }
    // Not everything that is lost comes back.
    await world.calmDown({ isSourceWhole: steps.length % 4 > 0 });
  });
}

/** Asks for one half of the histories. */
export function itKeepsThePromise(half: 1 | 2): void {
  useModelTime();

  it(
    `keeps the promise in ${HISTORIES} histories of a cluster, whatever happens in whatever order`,
    async () => {
      const histories = fc.array(step, { minLength: 1, maxLength: 80, size: 'max' });
      const { failed, numRuns, counterexample, seed, errorInstance } = await fc.check(
        fc.asyncProperty(kinds, histories, conditions, live),
        // A failing history is made simpler for that long.
        { seed: 2 * SEED + half, numRuns: HISTORIES, interruptAfterTimeLimit: LONGEST_MS - 20_000 },
      );
      expect(failed ? { seed, counterexample, why: String(errorInstance) } : 'kept').toBe('kept');
      expect(numRuns).toBe(HISTORIES);
    },
    LONGEST_MS,
  );
}
