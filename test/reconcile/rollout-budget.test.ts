import { beforeEach, expect, it } from 'vitest';

import { RolloutBudget } from '../../src/reconcile/rollout-budget.ts';
import type { SwapRecord } from '../../src/workloads/record.ts';
import type { Workload } from '../../src/workloads/workload.ts';
import { aSlot, aWorkload, annotationsOf } from '../support/builders.ts';

const TIMEOUT_MS = 600_000;
const COPY = 'backup.example/p/docker.io/library/nginx:1.27';

let nowMs: number;
let maxRollouts: number;
let freed: string[];
let budget: RolloutBudget;

beforeEach(() => {
  nowMs = 1_700_000_000_000;
  maxRollouts = 2;
  freed = [];
  budget = new RolloutBudget({
    limits: () => ({ maxRollouts, timeoutMs: TIMEOUT_MS }),
    nowMs: () => nowMs,
    onFree: (key) => freed.push(key),
  });
});

/** A workload that a swap has changed just now and that is rolling out. */
function rolling(rollout: Partial<Workload['rollout']> = {}, parts: Partial<SwapRecord> = {}): Workload {
  const record = {
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', COPY]]),
    before: new Map([['app', 'nginx:1.27']]),
    swappedAtMs: nowMs,
    ...parts,
  };
  return aWorkload({
    slots: [aSlot(COPY)],
    annotations: annotationsOf(record),
    rollout: { generation: 2, observedGeneration: 2, available: 1, ...rollout },
  });
}

it('counts what the cluster shows, as a new leader sees it', () => {
  budget.observe('a', rolling());
  budget.observe('b', rolling());
  expect(budget.isFree()).toBe(false);
});

it('counts a workload that an autoscaler has changed since', () => {
  budget.observe('a', rolling({ generation: 3, observedGeneration: 3, desired: 3 }));
  expect(budget.countRolling()).toBe(1);
});

it.each<[string, Partial<SwapRecord>]>([
  ['a time to come', { swappedAtMs: Number.MAX_SAFE_INTEGER / 10 }],
  ['images that are not there', { copies: new Map([['app', 'x/y:1']]) }],
])('gives no place to a forged record with %s', (_, parts) => {
  budget.observe('a', rolling({}, parts));
  expect(budget.countRolling()).toBe(0);
});

it('does not count a workload that is rolled out', () => {
  budget.observe('a', rolling());
  budget.observe('a', rolling({ available: 2 }));
  expect(budget.countRolling()).toBe(0);
});

it('does not wait for ever for a rollout that hangs', () => {
  budget.observe('a', rolling());
  nowMs += TIMEOUT_MS;
  expect(budget.countRolling()).toBe(0);
});

it('holds a place from the patch until the change is seen, and then counts it once', () => {
  expect(budget.tryReserve('a', aWorkload())).toBe(true);
  budget.observe('a', aWorkload());
  expect(budget.countRolling()).toBe(1);
  budget.observe('a', rolling());
  expect(budget.countRolling()).toBe(1);
  budget.observe('a', rolling({ available: 2 }));
  expect(budget.countRolling()).toBe(0);
});

it('gives no more places than there are', () => {
  expect(['a', 'b', 'c'].map((key) => budget.tryReserve(key, aWorkload()))).toEqual([true, true, false]);
});

it('wakes as many waiting workloads as there are places, in order', () => {
  budget.tryReserve('a', aWorkload());
  budget.tryReserve('b', aWorkload());
  for (const key of ['c', 'd', 'e']) {
    budget.waitForPlace(key);
  }
  budget.release('a');
  expect(freed).toEqual(['c']);
  budget.release('b');
  expect(freed).toEqual(['c', 'd', 'e']);
});

it('frees the place of a workload that is deleted', () => {
  budget.tryReserve('a', aWorkload());
  budget.observe('a', undefined);
  expect(budget.countRolling()).toBe(0);
});

it('keeps the place of a patch that leaves no record until its rollout is over', () => {
  maxRollouts = 1;
  expect(budget.tryReserve('a', aWorkload())).toBe(true);
  budget.observe('a', aWorkload({ rollout: { generation: 2, observedGeneration: 2, updated: 1 } }));
  expect(budget.isFree()).toBe(false);
  budget.observe('a', aWorkload({ rollout: { generation: 2, observedGeneration: 2 } }));
  expect(budget.isFree()).toBe(true);
});

it('makes others wait for a place that was taken beyond the limit', () => {
  maxRollouts = 1;
  budget.reserve('a', aWorkload());
  budget.reserve('b', aWorkload());
  expect(budget.countRolling()).toBe(2);
  budget.release('a');
  expect(budget.tryReserve('c', aWorkload())).toBe(false);
  nowMs += TIMEOUT_MS;
  expect(budget.tryReserve('c', aWorkload())).toBe(true);
});
