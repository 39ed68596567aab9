import { expect, it } from 'vitest';

import { areBehind } from '../../../src/reconcile/workload/watched-pods.ts';
import { DIGEST, aPodOf, aWorkload } from '../../support/builders.ts';

const CHANGED_AT_MS = 1_700_000_000_000;
const DONE = { desired: 2, current: 2, updated: 2, available: 2 };
const UNDER_WAY = { desired: 2, current: 3, updated: 1, available: 2 };

function pods(number: number, createdAtMs = CHANGED_AT_MS) {
  return Array.from({ length: number }, () => ({ ...aPodOf(aWorkload(), DIGEST), createdAtMs }));
}

function isBehind(rollout: object, seen: ReturnType<typeof pods>): boolean {
  return areBehind(aWorkload({ rollout, templateChangedAtMs: CHANGED_AT_MS }), seen);
}

it('pods that are watched are behind a workload that is rolled out while fewer of them are ready than it says', () => {
  expect(isBehind(DONE, pods(2))).toBe(false);
  expect(isBehind(DONE, pods(1))).toBe(true);
  expect(isBehind(DONE, [...pods(1), { ...aPodOf(aWorkload(), DIGEST), ready: false }])).toBe(true);
});

it('they are while one is older than its template: it may be of the template before', () => {
  expect(isBehind(DONE, [...pods(1), ...pods(1, CHANGED_AT_MS - 1)])).toBe(true);
});

it('they are not while it rolls out: a pod that it counts may have gone since', () => {
  expect(isBehind(UNDER_WAY, pods(3, CHANGED_AT_MS - 1))).toBe(false);
  expect(isBehind(UNDER_WAY, pods(2))).toBe(false);
});
