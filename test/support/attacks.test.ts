import { expect, it } from 'vitest';

import { countAttacks, formatAttacks } from './attacks.ts';

it('counts the attacks that were tried, and those that held', () => {
  const counts = countAttacks([
    { tags: ['attack-text'], hasPassed: true },
    { tags: ['attack-image'], hasPassed: true },
    { tags: ['attack-image'], hasPassed: false },
    { tags: [], hasPassed: false },
  ]);
  expect(
    formatAttacks(counts)
      .split('\n')
      .map((row) => row.split(/ {2,}/)),
  ).toEqual([
    ['Attacks', 'tried', 'held'],
    ['image texts, names and messages', '1', '1'],
    ['manifests and layers made to hurt', '2', '1'],
    ['in all', '3', '2'],
  ]);
});

it('prints no table when no attack was tried', () => {
  expect(formatAttacks(countAttacks([{ tags: [], hasPassed: true }]))).toBe('');
});
