import { describe, expect, it } from 'vitest';

import { MissingPods } from '../../../src/reconcile/workload/missing-pods.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import { aWorkload } from '../../support/builders.ts';

const KEY = 'DaemonSet/shop/web';
const complete = aWorkload({ kind: 'DaemonSet' });
const short = aWorkload({ kind: 'DaemonSet', rollout: { current: 1, available: 1 } });

function startClock() {
  let timeMs = 1_000;
  const pods = new MissingPods(() => timeMs);
  const missing = {
    observe(workload: Workload | undefined): number | undefined {
      pods.observe(KEY, workload);
      return pods.findSinceMs(KEY);
    },
  };
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
    expect(missing.observe(undefined)).toBeUndefined();
    expect(missing.observe({ ...short, uid: 'uid-2' })).toBe(16_000);
  });

  it('is not told by a status that is older than the template', () => {
    const { missing } = startClock();
    expect(missing.observe({ ...short, rollout: { ...short.rollout, generation: 2 } })).toBeUndefined();
  });
});
