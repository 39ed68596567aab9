import { expect, it } from 'vitest';

import { LONGEST_TURN_MS, takeTurns } from '../src/event-loop.ts';

it('lets others have their turn while it goes through many steps, and goes through all of them', async () => {
  let nowMs = 0;
  let steps = 0;
  const seen: number[] = [];
  setImmediate(() => seen.push(steps));
  function* thousandSteps(): Generator<void> {
    for (; steps < 1_000; steps += 1) {
      nowMs += 1;
      yield;
    }
  }
  await takeTurns(thousandSteps(), { monotonicMs: () => nowMs });
  expect(seen).toEqual([LONGEST_TURN_MS - 1]);
  expect(steps).toBe(1_000);
});

it('does a few steps at once', async () => {
  let steps = 0;
  function* threeSteps(): Generator<void> {
    for (; steps < 3; steps += 1) {
      yield;
    }
  }
  const done = takeTurns(threeSteps(), { monotonicMs: () => 0 });
  expect(steps).toBe(3);
  await done;
});
