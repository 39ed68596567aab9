/**
 * The loops as they are, in a cluster and between registries that are models, with every request answered in an order
 * that chance decides. What the models do not prove (that a real API server, kubelet or registry behaves like that) is
 * proven in test/integration.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { KIND_NAMES, type KindName } from './kind-models.ts';
import { NAMES, type Step, World } from './world.ts';

/** `make test` asks for more of them than `make check`. */
const HISTORIES = Number(process.env['SIMULATOR_HISTORIES'] ?? 100);
/** The same histories each time, so that what fails is what has changed; another number is another two thousand. */
const SEED = Number(process.env['SIMULATOR_SEED'] ?? 7);
const LONGEST_MS = 240_000;
const step: fc.Arbitrary<Step> = fc.record({ op: fc.nat({ max: 43 }), pick: fc.nat({ max: 4095 }) });
/** Half of the workloads are Deployments. */
const kind = fc.constantFrom(...KIND_NAMES.map((): KindName => 'Deployment').slice(1), ...KIND_NAMES);
const kinds = fc.array(kind, { minLength: NAMES.length, maxLength: NAMES.length });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

async function tell(world: World, history: () => Promise<void>): Promise<void> {
  try {
    await history();
  } catch (error) {
    throw new Error(`${String(error)}\n\nHow it came to that:\n${world.story.join('\n')}`, { cause: error });
  } finally {
    vi.clearAllTimers();
  }
}

async function live(workloads: readonly KindName[], steps: readonly Step[]): Promise<void> {
  const world = new World(workloads);
  await tell(world, async () => {
    // Half of the histories begin with a cluster that is backed up.
    if (steps.length % 2 === 0) {
      await world.rest();
    }
    for (const one of steps) {
      await world.take(one);
    }
    await world.calmDown();
  });
}

it.each(KIND_NAMES)('leaves no %s worse off where the nodes cannot pull a copy', async (name) => {
  const world = new World(NAMES.map((_, index) => (index < 2 ? name : 'Deployment')));
  await tell(world, () => world.fail());
});

it(
  `keeps the promise in ${HISTORIES} histories of a cluster, whatever happens in whatever order`,
  async () => {
    const histories = fc.array(step, { minLength: 1, maxLength: 200, size: 'max' });
    const { failed, numRuns, counterexample, seed, errorInstance } = await fc.check(
      fc.asyncProperty(kinds, histories, live),
      // A failing history is made simpler for that long.
      { seed: SEED, numRuns: HISTORIES, interruptAfterTimeLimit: LONGEST_MS - 20_000 },
    );
    expect(failed ? { seed, counterexample, why: String(errorInstance) } : 'kept').toBe('kept');
    expect(numRuns).toBe(HISTORIES);
  },
  LONGEST_MS,
);
