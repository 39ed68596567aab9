import { expect, it } from 'vitest';

import { restoreAll } from '../../../src/cli/restore/restore-all.ts';
import type { RestoreOutcome } from '../../../src/cli/restore/restore-one.ts';
import { aWorkload } from '../../support/builders.ts';

const rows = Array.from({ length: 10 }, (_, index) => aWorkload({ name: `w${index}` }));

async function restoreWith(
  result: (name: string) => RestoreOutcome['result'],
  options: { maxRollouts?: number; signal?: AbortSignal } = {},
) {
  const { maxRollouts = 2, signal = new AbortController().signal } = options;
  let rolling = 0;
  let most = 0;
  const done: string[] = [];
  const counts = await restoreAll({
    rows,
    maxRollouts,
    signal,
    async restoreOne({ name }) {
      rolling += 1;
      most = Math.max(most, rolling);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      rolling -= 1;
      return { result: result(name) };
    },
    async onDone({ name }) {
      done.push(name);
    },
  });
  return { counts, most, done };
}

it('rolls no more workloads at a time than allowed, and does all of them', async () => {
  const { counts, most, done } = await restoreWith(() => 'restored', { maxRollouts: 3 });
  expect(most).toBe(3);
  expect(counts).toMatchObject({ restored: 10, failed: 0, 'not tried': 0 });
  expect(done).toHaveLength(10);
});

it('stops when three in a row do not come up with their originals', async () => {
  const { counts } = await restoreWith(() => 'not rolled out', { maxRollouts: 1 });
  expect(counts).toMatchObject({ restored: 0, 'not rolled out': 3, 'not tried': 7 });
});

it('goes on when others in between come up', async () => {
  const isFine = (name: string): boolean => /[258]/.test(name);
  const { counts } = await restoreWith((name) => (isFine(name) ? 'restored' : 'not rolled out'), {
    maxRollouts: 1,
  });
  expect(counts).toMatchObject({ 'not tried': 0, restored: 3 });
});

it('goes on when writes are refused: nothing rolls then', async () => {
  expect((await restoreWith(() => 'failed')).counts).toMatchObject({ failed: 10 });
});

it('begins nothing any more once it is told to stop', async () => {
  const { counts } = await restoreWith(() => 'restored', { signal: AbortSignal.abort() });
  expect(counts).toMatchObject({ restored: 0, 'not tried': 10 });
});
