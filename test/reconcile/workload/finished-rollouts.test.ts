import { describe, expect, it } from 'vitest';

import { FinishedRollouts } from '../../../src/reconcile/workload/finished-rollouts.ts';
import { aWorkload } from '../../support/builders.ts';

const KEY = 'Deployment/shop/web';
const done = aWorkload();
const rolling = aWorkload({ rollout: { updated: 0 } });

describe('a rollout', () => {
  it('is told of once, when it is over', () => {
    const rollouts = new FinishedRollouts();
    rollouts.observe(KEY, rolling);
    expect(rollouts.take(KEY, rolling)).toBe(false);
    rollouts.observe(KEY, done);
    expect([rollouts.take(KEY, done), rollouts.take(KEY, done)]).toEqual([true, false]);
  });

  it('is none when a workload is at rest, or another one of the same name has rolled out', () => {
    const rollouts = new FinishedRollouts();
    rollouts.observe(KEY, done);
    expect(rollouts.take(KEY, done)).toBe(false);
    rollouts.observe(KEY, rolling);
    expect(rollouts.take(KEY, { ...done, uid: 'another' })).toBe(false);
  });

  it('is no run of a CronJob, of which there is one every minute', () => {
    const rollouts = new FinishedRollouts();
    const nightly = aWorkload({
      kind: 'CronJob',
      rollout: { desired: 0, current: 0, updated: 0, available: 0 },
    });
    rollouts.observe(KEY, {
      ...nightly,
      rollout: { ...nightly.rollout, current: 1, updated: 1, available: 1 },
    });
    expect(rollouts.take(KEY, nightly)).toBe(false);
  });

  it('is forgotten with its workload', () => {
    const rollouts = new FinishedRollouts();
    rollouts.observe(KEY, rolling);
    rollouts.observe(KEY, undefined);
    expect(rollouts.take(KEY, done)).toBe(false);
  });
});
