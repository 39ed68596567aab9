/**
 * The loops as they are, in a cluster and between registries that are models, with every request answered in an order
 * that chance decides. What the models do not prove (that a real API server, kubelet or registry behaves like that) is
 * proven in test/integration.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { type Step, World } from './world.ts';

/** `make test` asks for more of them than `make check`. */
const HISTORIES = Number(process.env['SIMULATOR_HISTORIES'] ?? 100);
const LONGEST_MS = 240_000;
const step: fc.Arbitrary<Step> = fc.record({ op: fc.nat({ max: 41 }), pick: fc.nat({ max: 4095 }) });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

async function live(steps: readonly Step[]): Promise<void> {
  const world = new World();
  try {
    // Half of the histories begin with a cluster that is backed up.
    if (steps.length % 2 === 0) {
      await world.rest();
    }
    for (const one of steps) {
      await world.take(one);
    }
    await world.calmDown();
  } catch (error) {
    throw new Error(`${String(error)}\n\nHow it came to that:\n${world.story.join('\n')}`, { cause: error });
  } finally {
    vi.clearAllTimers();
  }
}

it(
  `keeps the promise in ${HISTORIES} histories of a cluster, whatever happens in whatever order`,
  async () => {
    const histories = fc.array(step, { minLength: 1, maxLength: 200, size: 'max' });
    const { failed, numRuns, counterexample, seed, errorInstance } = await fc.check(
      fc.asyncProperty(histories, live),
      // A failing history is made simpler for that long.
      { numRuns: HISTORIES, interruptAfterTimeLimit: LONGEST_MS - 20_000 },
    );
    expect(failed ? { seed, counterexample, why: String(errorInstance) } : 'kept').toBe('kept');
    expect(numRuns).toBe(HISTORIES);
  },
  LONGEST_MS,
);
