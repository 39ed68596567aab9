import { pino } from 'pino';
import { beforeEach, expect, it } from 'vitest';

import { RestoreProgress } from '../../../src/reconcile/memory/restore-progress.ts';

let lines: string[];
let progress: RestoreProgress;

beforeEach(() => {
  lines = [];
  progress = new RestoreProgress(pino({ base: null }, { write: (line: string) => lines.push(line) }));
});

function update(isRestoring: boolean, recorded: number, leftAlone = 0): void {
  progress.update(isRestoring, { recorded, leftAlone });
}

function countDone(): number {
  return lines.filter((line) => line.includes('all restored')).length;
}

it('says once that all is restored, when the last workload is', () => {
  update(true, 2);
  update(true, 1);
  expect(countDone()).toBe(0);
  update(true, 0);
  update(true, 0);
  expect(countDone()).toBe(1);
});

it('says so at once when there is nothing to restore', () => {
  update(true, 0);
  expect(countDone()).toBe(1);
});

it('has nothing to say while it does not restore', () => {
  update(false, 1);
  update(false, 0);
  expect(lines).toEqual([]);
});

it('says so again after the next restore', () => {
  update(true, 0);
  update(false, 0);
  update(true, 1);
  update(true, 0);
  expect(countDone()).toBe(2);
});

it('says how many are left alone, and not that all is restored', { tags: 'attack-size' }, () => {
  update(true, 3, 2);
  update(true, 2, 2);
  update(true, 2, 2);
  expect(countDone()).toBe(0);
  const told = lines.filter((line) => line.includes('left alone as too large'));
  expect(told).toEqual([expect.stringContaining('"workloads":2')]);
  expect(told).toEqual([expect.stringContaining('the command `restore`')]);
  update(true, 1, 1);
  update(true, 0);
  expect(countDone()).toBe(1);
});
