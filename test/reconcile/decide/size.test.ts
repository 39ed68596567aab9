import { describe, expect, it } from 'vitest';

import { findPolicy } from '../../../src/reconcile/decide/policy.ts';
import { planSlots } from '../../../src/reconcile/decide/slots/slot-plan.ts';
import { isNamedAsCopyOf, parsePrefix } from '../../../src/images/copy-name.ts';
import { parseReference } from '../../../src/images/reference.ts';
import { parseRecord } from '../../../src/workloads/record.ts';
import type { Pod, Workload } from '../../../src/workloads/workload.ts';
import { DIGEST, aSlot, aWorkload, madeBy } from '../../support/builders.ts';
import { LINEAR, measureGrowth } from '../../support/growth.ts';

function manySlots(count: number): Workload['slots'] {
  return Array.from({ length: count }, (_, n) => aSlot(`reg.example/a/b/c/app-${n}:1`, { name: `app-${n}` }));
}

/** Ready pods with all containers of a workload, which do not tell what they run. */
function manyPods(workload: Workload, count: number): readonly Pod[] {
  return Array.from({ length: count }, (_, pod) => ({
    name: `web-${pod}`,
    ...madeBy(workload),
    createdAtMs: 0,
    ready: true,
    containers: workload.slots.map(({ name, image }) => ({ name, image, imageId: '' })),
  }));
}

function planOf(workload: Workload, pods: readonly Pod[]): unknown {
  return planSlots({
    workload,
    record: parseRecord(workload.annotations),
    policy: findPolicy(workload, undefined),
    pods,
    sourceHosts: ['*'],
    prefix: parsePrefix('backup.example/p'),
    naming: 'nested',
  });
}

describe('the time for one pass', () => {
  it('grows with the containers of pods, not with slots and containers', { tags: 'attack-size' }, () => {
    const prepare = (size: number) => {
      const workload = aWorkload({ slots: manySlots(size) });
      return { workload, pods: manyPods(workload, 20) };
    };
    expect(
      measureGrowth({ prepare, work: ({ workload, pods }) => planOf(workload, pods), size: 250 }),
    ).toBeLessThan(LINEAR);
  });

  it('does not depend on how many parts the name of a copy has', { tags: 'attack-text' }, () => {
    const source = parseReference('reg.example/app:1');
    const prepare = (size: number) =>
      parseReference(`backup.example/${'x/'.repeat(size)}reg.example/app:1@${DIGEST}`);
    const work = (copy: ReturnType<typeof prepare>) => {
      for (let n = 0; n < 200; n += 1) {
        isNamedAsCopyOf(copy, source);
      }
    };
    // Only cutting the name into its parts takes longer; to try each place where it may begin took 4.5 times as long.
    expect(measureGrowth({ prepare, work, size: 28, limit: 3.5 })).toBeLessThan(3.5);
  });
});
