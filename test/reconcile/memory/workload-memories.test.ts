import { describe, expect, it } from 'vitest';

import { WorkloadMemories } from '../../../src/reconcile/memory/workload-memories.ts';
import { formatWorkloadKey } from '../../../src/workloads/kinds.ts';
import { toLeftAlone } from '../../../src/workloads/too-large.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import { aWorkload } from '../../support/builders.ts';

const complete = aWorkload({ kind: 'DaemonSet' });
const short = aWorkload({ kind: 'DaemonSet', rollout: { current: 1, available: 1 } });
const rolling = aWorkload({ rollout: { updated: 0 } });
const done = aWorkload();
const SWAPPED = aWorkload({ annotations: { 'backup-image-registry/status': '{}' } });
const RESTORED = aWorkload({ annotations: { 'backup-image-registry/policy': 'swap' } });

function remember() {
  let timeMs = 1_000;
  const memories = new WorkloadMemories(() => timeMs);
  return {
    memories,
    pass(ms: number): void {
      timeMs += ms;
    },
    observe(workload: Workload) {
      memories.observe(formatWorkloadKey(workload), workload);
      return memories.of(workload);
    },
  };
}

describe('a memory', () => {
  it('is one object from the first look until the workload ends', () => {
    const { memories, observe } = remember();
    const memory = observe(done);
    memory.refresh = 'monday';
    expect(observe(rolling)).toBe(memory);
    memories.observe(formatWorkloadKey(done), undefined);
    expect(memories.of(done).refresh).toBeUndefined();
  });

  it('is not that of another workload of the same name', () => {
    const { observe } = remember();
    observe(done).refresh = 'monday';
    expect(observe({ ...done, uid: 'uid-2' }).refresh).toBeUndefined();
  });

  it('ends with the scope that its workload was in', () => {
    const { memories, observe } = remember();
    const other = aWorkload({ name: 'other' });
    observe(done).refresh = 'monday';
    observe(other).refresh = 'monday';
    expect(memories.keepOnly([done])).toEqual([formatWorkloadKey(other)]);
    expect([memories.of(done).refresh, memories.of(other).refresh]).toEqual(['monday', undefined]);
  });

  it('loses what the API server refused when the settings are edited', () => {
    const { memories, observe } = remember();
    const memory = observe(done);
    memory.denial = { wanted: '', untilMs: 2_000 };
    memory.observation = 'copy';
    memory.refresh = 'monday';
    memories.forgetDenials();
    expect(memory).toMatchObject({ denial: undefined, observation: 'copy', refresh: 'monday' });
  });
});

describe('since when pods are missing', () => {
  it('is when they were first seen to be, however often that is looked at', () => {
    const { observe, pass } = remember();
    expect(observe(complete).missingSinceMs).toBeUndefined();
    expect(observe(short).missingSinceMs).toBe(1_000);
    pass(30_000);
    expect(observe(short).missingSinceMs).toBe(1_000);
  });

  it('begins anew once all were there, and with another workload of that name', () => {
    const { memories, observe, pass } = remember();
    observe(short);
    observe(complete);
    pass(5_000);
    expect(observe(short).missingSinceMs).toBe(6_000);
    pass(5_000);
    expect(observe({ ...short, uid: 'uid-2' }).missingSinceMs).toBe(11_000);
    pass(5_000);
    memories.observe(formatWorkloadKey(short), undefined);
    expect(observe({ ...short, uid: 'uid-2' }).missingSinceMs).toBe(16_000);
  });

  it('is not told by a status that is older than the template', () => {
    const { observe } = remember();
    expect(
      observe({ ...short, rollout: { ...short.rollout, generation: 2 } }).missingSinceMs,
    ).toBeUndefined();
  });
});

describe('what a change tells', () => {
  const key = formatWorkloadKey(done);

  it('is how a rollout goes on, and that it has ended', () => {
    const { memories } = remember();
    const seen = [rolling, rolling, done, done].map((one, index) => ({
      ...one,
      resourceVersion: `${index}`,
    }));
    expect(seen.map((one) => memories.observe(key, one))).toEqual([false, true, true, false]);
  });

  it('is more than that with another generation, of which the controller of the kind may not know yet', () => {
    const { memories } = remember();
    memories.observe(key, rolling);
    const edited = { ...rolling, resourceVersion: '2', rollout: { ...rolling.rollout, generation: 9 } };
    expect(memories.observe(key, edited)).toBe(false);
  });

  it('is more than that where the workload is the same: something else has changed', () => {
    const { memories } = remember();
    memories.observe(key, rolling);
    expect(memories.observe(key, rolling)).toBe(false);
  });
});

describe('that a workload was seen to roll out', () => {
  it('is remembered once that is over', () => {
    const { observe } = remember();
    expect(observe(done).rolloutSightings).toBe(0);
    observe(rolling);
    expect(observe(done).rolloutSightings).toBe(1);
  });

  it('is not said of a run of a CronJob, of which there is one every minute', () => {
    const { observe } = remember();
    const run = { desired: 0, current: 1, updated: 1, available: 1 };
    expect(observe(aWorkload({ kind: 'CronJob', rollout: run })).rolloutSightings).toBe(0);
  });
});

describe('the number of workloads that have something of ours', () => {
  it('follows what is seen of them', () => {
    const { memories, observe } = remember();
    const second = { ...SWAPPED, name: 'second' };
    observe(SWAPPED);
    observe(SWAPPED);
    observe(second);
    observe({ ...RESTORED, name: 'third' });
    expect(memories.recorded).toBe(2);
    observe(RESTORED);
    memories.observe(formatWorkloadKey(second), undefined);
    expect(memories.recorded).toBe(0);
  });

  it('leaves out what is being deleted, and what is another workload by now', () => {
    const { memories, observe } = remember();
    observe(aWorkload({ ...SWAPPED, rollout: { terminating: true } }));
    observe({ ...SWAPPED, name: 'second' });
    observe({ ...RESTORED, name: 'second', uid: 'uid-2' });
    expect(memories.recorded).toBe(0);
  });

  it('counts what was left alone as too large with it, and says how many', { tags: 'attack-size' }, () => {
    const { memories, observe } = remember();
    const second = { ...SWAPPED, name: 'second' };
    observe(SWAPPED);
    observe(toLeftAlone(toLeftAlone(second, 'it is too large'), 'it is too large'));
    observe(toLeftAlone({ ...RESTORED, name: 'third' }, 'it is too large'));
    expect([memories.recorded, memories.leftAlone]).toEqual([2, 1]);
    observe(second);
    expect([memories.recorded, memories.leftAlone]).toEqual([2, 0]);
    observe(toLeftAlone(second, 'it is too large'));
    memories.observe(formatWorkloadKey(second), undefined);
    expect([memories.recorded, memories.leftAlone]).toEqual([1, 0]);
  });
});
