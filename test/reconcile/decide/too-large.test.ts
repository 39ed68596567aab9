import { describe, expect, it } from 'vitest';

import { decide } from '../../../src/reconcile/decide/decide.ts';
import { MOST_SLOTS } from '../../../src/workloads/size-limits.ts';
import { limitSlots } from '../../../src/workloads/too-large.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import { aSlot, aWorkload } from '../../support/builders.ts';
import { factsOf } from '../../support/facts.ts';

function manySlots(count: number): Workload['slots'] {
  return Array.from({ length: count }, (_, n) => aSlot(`reg.example/a/b/c/app-${n}:1`, { name: `app-${n}` }));
}

describe('a workload with more images than any real one has', () => {
  const tooMany = limitSlots(aWorkload({ slots: manySlots(MOST_SLOTS + 1), annotations: { a: 'b' } }));

  it('is left alone, with one event', { tags: 'attack-size' }, () => {
    expect(tooMany).toMatchObject({ name: 'web', slots: [], annotations: {}, podSelector: '' });
    const { actions, events } = decide(factsOf(tooMany));
    expect(actions).toEqual([]);
    expect(events).toEqual([
      expect.objectContaining({
        reason: 'TooLarge',
        note: expect.stringContaining('its template has 101 images, and 100 is the limit') as string,
      }),
    ]);
  });

  it('is named by MODE=observe', () => {
    expect(decide(factsOf(tooMany, {}, { mode: 'observe' })).actions).toEqual([
      { is: 'observe', would: [expect.stringContaining('leave it alone')] },
    ]);
  });

  it('is not one with as many as are allowed', () => {
    const workload = aWorkload({ slots: manySlots(MOST_SLOTS) });
    expect(limitSlots(workload)).toBe(workload);
  });
});
