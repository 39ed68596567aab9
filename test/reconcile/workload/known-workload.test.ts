import { describe, expect, it } from 'vitest';

import { planRevert } from '../../../src/reconcile/decide/originals/revert.ts';
import { noteRecord } from '../../../src/reconcile/memory/last-record.ts';
import { WorkloadMemories } from '../../../src/reconcile/memory/workload-memories.ts';
import { noteRechecked, knowWorkload } from '../../../src/reconcile/workload/known-workload.ts';
import { formatWorkloadKey } from '../../../src/workloads/kinds.ts';
import { FIELD_MANAGER } from '../../../src/workloads/image-owner.ts';
import type { SwapRecord } from '../../../src/workloads/record.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import { DIGEST, aSlot, aWorkload, annotationsOf } from '../../support/builders.ts';

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

describe('the record of a workload that somebody has replaced as a whole', () => {
  const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
  const RECORD: SwapRecord = {
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', COPY]]),
    before: new Map([['app', 'nginx:1.27']]),
    swappedAtMs: 1_700_000_000_000,
    uid: 'uid-1',
  };
  const swapped = aWorkload({ kind: 'DaemonSet', slots: [aSlot(COPY)], annotations: annotationsOf(RECORD) });
  const replaced = aWorkload({
    kind: 'DaemonSet',
    imageOwners: [{ manager: 'kubectl-replace', isApply: false }],
  });

  /** What is known of it, after it was seen as it was before. */
  function recall(workload: Workload, before: Workload = swapped): SwapRecord {
    const memories = new WorkloadMemories(() => 0);
    noteRecord(memories.of(before), before, before.annotations);
    return knowWorkload(workload, memories.of(workload)).record;
  }

  it('is remembered, so that the revert is counted', () => {
    const record = recall(replaced);
    expect(record).toEqual(RECORD);
    expect(planRevert({ workload: replaced, record, nowMs: record.swappedAtMs + 1 })).toMatchObject({
      is: 'to be swapped again',
      reverts: { count: 1 },
    });
  });

  it('is remembered of a Deployment only when it keeps no revisions: these would tell', () => {
    const kind = 'Deployment';
    const before = aWorkload({ kind, slots: [aSlot(COPY)], annotations: annotationsOf(RECORD) });
    const after = { ...replaced, kind } as const;
    expect(recall(after, before).originals.size).toBe(0);
    expect(recall(after, { ...before, keepsNoRevisions: true })).toEqual(RECORD);
  });

  it('leads to a hold with the fourth within an hour, which is remembered as well', () => {
    const reverts = { count: 3, sinceMs: RECORD.swappedAtMs - 1, ofMs: RECORD.swappedAtMs - 1, holds: 0 };
    const often = { ...swapped, annotations: annotationsOf({ ...RECORD, reverts }) };
    const nowMs = RECORD.swappedAtMs + 1;
    const revert = planRevert({ workload: replaced, record: recall(replaced, often), nowMs });
    const note = expect.stringMatching(/^kubectl-replace put back .* 4 times within an hour/);
    expect(revert).toMatchObject({ is: 'to be held', hold: { event: { note } } });
    const annotations = (
      revert?.is === 'to be held' ? revert.hold.patch.annotations : {}
    ) as typeof often.annotations;
    const held = recall(replaced, { ...swapped, annotations });
    expect(planRevert({ workload: replaced, record: held, nowMs: nowMs + 1 })?.is).toBe('held');
  });

  it.each([
    ['it has another image now', { ...replaced, slots: [aSlot('nginx:1.28')] }],
    [
      'we have put the original back ourselves',
      { ...replaced, imageOwners: [{ manager: FIELD_MANAGER, isApply: false }] },
    ],
    ['it is another workload of that name', { ...replaced, uid: 'uid-2' }],
  ])('counts for nothing when %s', (_, workload) => {
    expect(recall(workload).swappedAtMs).toBe(0);
  });

  it('is not remembered beyond measure', { tags: 'attack-annotation' }, () => {
    const former = new Map([['app', new Map([['x'.repeat(20_000), 'nginx:1.26']])]]);
    const long = { ...swapped, annotations: annotationsOf({ ...RECORD, former }) };
    expect(recall(replaced, long).swappedAtMs).toBe(0);
  });
});
