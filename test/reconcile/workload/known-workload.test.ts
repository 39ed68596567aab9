import { describe, expect, it } from 'vitest';

import { WorkloadMemories } from '../../../src/reconcile/memory/workload-memories.ts';
import { noteRechecked, knowWorkload } from '../../../src/reconcile/workload/known-workload.ts';
import { formatWorkloadKey } from '../../../src/workloads/kinds.ts';
import { aWorkload } from '../../support/builders.ts';

const rolling = aWorkload({ rollout: { updated: 0 } });
const done = aWorkload();
const key = formatWorkloadKey(done);

describe('a rollout that was seen', () => {
  it('is told of once, when it is over', () => {
    const memories = new WorkloadMemories(() => 0);
    const look = (workload: typeof done): boolean => {
      memories.observe(key, workload);
      const known = knowWorkload(workload, memories.of(workload));
      noteRechecked(known);
      return known.recheck.hasJustRolledOut;
    };
    expect([look(rolling), look(done), look(done)]).toEqual([false, true, false]);
  });

  it('is not lost when it begins while an earlier one is looked at', () => {
    const memories = new WorkloadMemories(() => 0);
    memories.observe(key, rolling);
    const known = knowWorkload(done, memories.of(done));
    memories.observe(key, rolling);
    noteRechecked(known);
    expect(knowWorkload(done, memories.of(done)).recheck.hasJustRolledOut).toBe(true);
  });
});

describe('the annotation refresh', () => {
  const memories = new WorkloadMemories(() => 0);
  const look = (refresh: string | undefined): boolean => {
    const annotations = refresh === undefined ? undefined : { 'backup-image-registry/refresh': refresh };
    const workload = aWorkload(annotations && { annotations });
    const known = knowWorkload(workload, memories.of(workload));
    noteRechecked(known);
    return known.recheck.isRefreshAsked;
  };

  it('asks for a look once for every value', () => {
    expect([look('a'), look('a'), look('b'), look(undefined), look('b')]).toEqual([
      true,
      false,
      true,
      false,
      true,
    ]);
  });
});
