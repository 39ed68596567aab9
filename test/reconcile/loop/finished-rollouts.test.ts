import { describe, expect, it } from 'vitest';

import { FinishedRollouts } from '../../../src/reconcile/loop/finished-rollouts.ts';
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

  it('is forgotten with its workload', () => {
    const rollouts = new FinishedRollouts();
    rollouts.observe(KEY, rolling);
    rollouts.observe(KEY, undefined);
    expect(rollouts.take(KEY, done)).toBe(false);
  });
});
