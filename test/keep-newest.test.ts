import { expect, it } from 'vitest';

import { keepNewest } from '../src/keep-newest.ts';

it('forgets what was put there longest ago, once there are more than it may keep', () => {
  const map = new Map<string, number>();
  for (const [value, key] of ['a', 'b', 'a', 'c', 'd'].entries()) {
    keepNewest(map, [key, value], 3);
  }
  expect([...map]).toEqual([
    ['a', 2],
    ['c', 3],
    ['d', 4],
  ]);
});
