import { pino } from 'pino';
import { beforeEach, expect, it } from 'vitest';

import { RecordedWorkloads } from '../../../src/reconcile/workload/recorded-workloads.ts';
import { aWorkload } from '../../support/builders.ts';

const SWAPPED = aWorkload({ annotations: { 'backup-image-registry/status': '{}' } });
const RESTORED = aWorkload({ annotations: { 'backup-image-registry/policy': 'swap' } });

let lines: string[];
let recorded: RecordedWorkloads;

beforeEach(() => {
  lines = [];
  const log = pino({ base: null }, { write: (line: string) => lines.push(line) });
  recorded = new RecordedWorkloads(log);
});

function countDone(): number {
  return lines.filter((line) => line.includes('all restored')).length;
}

it('counts the workloads that bear something of ours', () => {
  recorded.observe('a', SWAPPED);
  recorded.observe('b', SWAPPED);
  recorded.observe('c', RESTORED);
  expect(recorded.size).toBe(2);
  recorded.observe('a', RESTORED);
  recorded.observe('b', undefined);
  expect(recorded.size).toBe(0);
});

it('does not count what is being deleted', () => {
  recorded.observe('a', aWorkload({ ...SWAPPED, rollout: { terminating: true } }));
  expect(recorded.size).toBe(0);
});

it('says once that all is restored, when the last one is', () => {
  recorded.observe('a', SWAPPED);
  recorded.observe('b', SWAPPED);
  recorded.watch(true);
  recorded.observe('a', RESTORED);
  expect(countDone()).toBe(0);
  recorded.observe('b', RESTORED);
  recorded.observe('b', undefined);
  recorded.watch(true);
  expect(countDone()).toBe(1);
});

it('says so at once when there is nothing to restore', () => {
  recorded.watch(true);
  expect(countDone()).toBe(1);
});

it('has nothing to say while it does not restore', () => {
  recorded.observe('a', SWAPPED);
  recorded.observe('a', RESTORED);
  recorded.watch(false);
  expect(lines).toEqual([]);
});

it('says so again after the next restore', () => {
  recorded.watch(true);
  recorded.watch(false);
  recorded.observe('a', SWAPPED);
  recorded.watch(true);
  recorded.observe('a', RESTORED);
  expect(countDone()).toBe(2);
});
