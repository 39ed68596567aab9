import { describe, expect, it } from 'vitest';

import { isRolledOut, whyNotSwappable } from '../../src/workloads/rollout.ts';
import { aWorkload } from '../support/builders.ts';

it.each([
  ['every pod is new and available', {}, true],
  ['the status is older than the template', { generation: 2 }, false],
  ['a pod is of the old template', { updated: 1 }, false],
  ['an old pod is still there', { current: 3 }, false],
  ['a pod is not available', { available: 1 }, false],
  ['no pod is there at all', { current: 0, updated: 0, available: 0 }, false],
  ['a DaemonSet that updates on deletion has old pods', { updated: 0, onDelete: true }, true],
])('when %s, rolled out is what it should be', (_, rollout, expected) => {
  expect(isRolledOut(aWorkload({ rollout }))).toBe(expected);
});

it.each([
  ['a workload that is rolled out', {}, undefined],
  ['a rollout in flight', { available: 1 }, 'rolling out'],
  ['the moment after a change, when the status still looks fine', { generation: 2 }, 'rolling out'],
  ['a paused Deployment', { paused: true }, 'paused'],
  ['a workload without pods', { desired: 0, current: 0, updated: 0, available: 0 }, 'scaled to zero'],
  ['a workload that is being deleted', { terminating: true }, 'terminating'],
  ['a DaemonSet that updates on deletion', { onDelete: true }, undefined],
])('knows why %s is swapped or not', (_, rollout, expected) => {
  expect(whyNotSwappable(aWorkload({ rollout }))).toBe(expected);
});

describe('a StatefulSet', () => {
  it('is left alone while its owner decides which pods get a new template', () => {
    const workload = aWorkload({ kind: 'StatefulSet', rollout: { onDelete: true } });
    expect(whyNotSwappable(workload)).toBe('rolled out by hand');
    expect(whyNotSwappable(aWorkload({ kind: 'StatefulSet' }))).toBeUndefined();
    expect(whyNotSwappable(aWorkload({ kind: 'StatefulSet', rollout: { updated: 1 } }))).toBe('rolling out');
  });
});

describe('a CronJob', () => {
  const idle = { desired: 0, current: 0, updated: 0, available: 0 };

  it('is swapped whether it runs or not, unless it is being deleted', () => {
    const swappable = (rollout: object) => whyNotSwappable(aWorkload({ kind: 'CronJob', rollout }));
    expect(swappable(idle)).toBeUndefined();
    expect(swappable({ ...idle, current: 1, updated: 1, available: 1 })).toBeUndefined();
    expect(swappable({ ...idle, terminating: true })).toBe('terminating');
  });

  it('is at rest while no Job of it runs', () => {
    expect(isRolledOut(aWorkload({ kind: 'CronJob', rollout: idle }))).toBe(true);
    expect(isRolledOut(aWorkload({ kind: 'CronJob', rollout: { ...idle, current: 1, available: 1 } }))).toBe(
      false,
    );
  });
});
