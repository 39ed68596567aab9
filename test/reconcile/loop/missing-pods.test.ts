import { describe, expect, it } from 'vitest';

import { MissingPods } from '../../../src/reconcile/loop/missing-pods.ts';
import { aWorkload } from '../../support/builders.ts';

const complete = aWorkload({ kind: 'DaemonSet' });
const short = aWorkload({ kind: 'DaemonSet', rollout: { current: 1, available: 1 } });

function startClock() {
  let timeMs = 1_000;
  const missing = new MissingPods(() => timeMs);
  const pass = (ms: number): void => {
    timeMs += ms;
  };
  return { missing, pass };
}

describe('since when pods are missing', () => {
  it('is when they were first seen to be, however often that is looked at', () => {
    const { missing, pass } = startClock();
    expect(missing.observe(complete)).toBeUndefined();
    expect(missing.observe(short)).toBe(1_000);
    pass(30_000);
    expect(missing.observe(short)).toBe(1_000);
  });

  it('begins anew once all were there, and with another workload of that name', () => {
    const { missing, pass } = startClock();
    missing.observe(short);
    missing.observe(complete);
    pass(5_000);
    expect(missing.observe(short)).toBe(6_000);
    pass(5_000);
    expect(missing.observe({ ...short, uid: 'uid-2' })).toBe(11_000);
    pass(5_000);
    missing.forget('DaemonSet/shop/web');
    expect(missing.observe({ ...short, uid: 'uid-2' })).toBe(16_000);
  });

  it('is not told by a status that is older than the template', () => {
    const { missing } = startClock();
    expect(missing.observe({ ...short, rollout: { ...short.rollout, generation: 2 } })).toBeUndefined();
  });
});
