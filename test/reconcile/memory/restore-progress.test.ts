import { pino } from 'pino';
import { beforeEach, expect, it } from 'vitest';

import { RestoreProgress } from '../../../src/reconcile/memory/restore-progress.ts';

let lines: string[];
let progress: RestoreProgress;

beforeEach(() => {
  lines = [];
  progress = new RestoreProgress(pino({ base: null }, { write: (line: string) => lines.push(line) }));
});

function countDone(): number {
  return lines.filter((line) => line.includes('all restored')).length;
}

it('says once that all is restored, when the last workload is', () => {
  progress.update(true, 2);
  progress.update(true, 1);
  expect(countDone()).toBe(0);
  progress.update(true, 0);
  progress.update(true, 0);
  expect(countDone()).toBe(1);
});

it('says so at once when there is nothing to restore', () => {
  progress.update(true, 0);
  expect(countDone()).toBe(1);
});

it('has nothing to say while it does not restore', () => {
  progress.update(false, 1);
  progress.update(false, 0);
  expect(lines).toEqual([]);
});

it('says so again after the next restore', () => {
  progress.update(true, 0);
  progress.update(false, 0);
  progress.update(true, 1);
  progress.update(true, 0);
  expect(countDone()).toBe(2);
});
