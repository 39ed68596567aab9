import { describe, expect, it } from 'vitest';

import { planEntry, planNoEntry } from '../../../src/reconcile/pull-secrets/pull-secret-entry.ts';
import { planRestore } from '../../../src/reconcile/decide/originals/restore.ts';
import { planUndo } from '../../../src/reconcile/decide/originals/undo.ts';
import { type SwapRecord, parseRecord } from '../../../src/workloads/record.ts';
import { DIGEST, annotationsOf, aSlot, aWorkload, madeBy } from '../../support/builders.ts';

const NOTHING = parseRecord({});
const OURS: SwapRecord = { ...NOTHING, pullSecret: 'pull' };
const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const SIDECAR = `backup.example/p/docker.io/library/envoy:1@${DIGEST}`;

const having = (...pullSecrets: readonly string[]) => aWorkload({ pullSecrets });

describe('the entry of a swap', () => {
  it.each([
    ['is added when it is missing', having('mine'), NOTHING, 'pull', { add: ['pull'], remove: [] }, 'pull'],
    ['is there already after an earlier swap', having('pull'), OURS, 'pull', undefined, 'pull'],
    [
      'is added again when somebody has taken it away',
      having(),
      OURS,
      'pull',
      { add: ['pull'], remove: [] },
      'pull',
    ],
    ['is not ours when the user wrote it', having('pull'), NOTHING, 'pull', undefined, undefined],
    ['replaces the one of before', having('pull'), OURS, 'new', { add: ['new'], remove: ['pull'] }, 'new'],
    ['gives way to the user', having('pull', 'new'), OURS, 'new', { add: [], remove: ['pull'] }, undefined],
    ['is none without PULL_SECRET', having(), NOTHING, undefined, undefined, undefined],
    ['stays without PULL_SECRET', having('pull'), OURS, undefined, undefined, 'pull'],
    ['is forgotten when it is gone', having(), OURS, undefined, undefined, undefined],
  ])('%s', (_, workload, record, wanted, patched, recorded) => {
    const { patch, record: after } = planEntry({ workload, record }, wanted);
    expect([patch.pullSecrets, after.pullSecret]).toEqual([patched, recorded]);
  });
});

describe('the entries that pods have from their ServiceAccount', () => {
  const podSecrets = ['account', 'second'];
  const KEEPING: SwapRecord = { ...OURS, keptSecrets: ['account', 'second'] };

  it('are written beside the first one in the template, which would shut them out', () => {
    expect(planEntry({ workload: having(), record: NOTHING, podSecrets }, 'pull')).toEqual({
      patch: { pullSecrets: { add: ['pull', 'account', 'second'], remove: [] } },
      record: { pullSecret: 'pull', keptSecrets: ['account', 'second'] },
    });
  });

  it.each([
    ['the template has entries: the pods have none of the account', having('mine'), NOTHING, 'pull'],
    ['nothing is added', having(), NOTHING, undefined],
  ])('are not when %s', (_, workload, record, wanted) => {
    const plan = planEntry({ workload, record, podSecrets }, wanted);
    expect(plan.record).not.toHaveProperty('keptSecrets');
    expect(plan.patch.pullSecrets?.add ?? []).not.toContain('account');
  });

  it('never include one of the name that is wanted, from pods of an earlier swap', () => {
    const plan = planEntry({ workload: having(), record: NOTHING, podSecrets: ['pull'] }, 'pull');
    expect(plan.patch.pullSecrets).toEqual({ add: ['pull'], remove: [] });
  });

  it('stay on record with another PULL_SECRET, and go with the entry, unless somebody took them away', () => {
    const workload = having('pull', 'account');
    const after = planEntry({ workload, record: KEEPING, podSecrets }, 'new');
    expect(after).toEqual({
      patch: { pullSecrets: { add: ['new'], remove: ['pull'] } },
      record: { pullSecret: 'new', keptSecrets: ['account'] },
    });
    expect(planNoEntry(workload, KEEPING)).toEqual({
      pullSecrets: { add: [], remove: ['pull', 'account'] },
    });
  });

  it('are left to somebody who has written an entry since: the ServiceAccount gives none to such pods', () => {
    const workload = having('pull', 'account', 'mine');
    expect(planEntry({ workload, record: KEEPING }, 'pull').record).toEqual({ pullSecret: 'pull' });
    expect(planNoEntry(workload, KEEPING)).toEqual({ pullSecrets: { add: [], remove: ['pull'] } });
  });

  it('never include the one of an earlier PULL_SECRET', () => {
    const plan = planEntry({ workload: having(), record: OURS, podSecrets: ['pull', 'account'] }, 'new');
    expect(plan.patch.pullSecrets).toEqual({ add: ['new', 'account'], remove: [] });
  });

  it('are read as they were written', () => {
    const parsed = parseRecord(annotationsOf({ ...KEEPING, swappedAtMs: 1_700_000_000_000 }));
    expect(parsed.keptSecrets).toEqual(['account', 'second']);
  });
});

describe('putting the originals back', () => {
  const record: SwapRecord = {
    ...OURS,
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', COPY]]),
    before: new Map([['app', 'nginx:1.27']]),
    swappedAtMs: 1_700_000_000_000,
  };
  const swapped = aWorkload({
    slots: [aSlot(COPY)],
    pullSecrets: ['mine', 'pull'],
    rollout: { updated: 1, available: 0 },
  });
  const waiting = { reason: 'ErrImagePull', message: '401' };
  const containers = [{ name: 'app', image: COPY, imageId: '', waiting }];
  const pods = [{ name: 'web-1', ...madeBy(swapped), createdAtMs: 0, ready: false, containers }];
  const times = { rolloutTimeoutMs: 600_000, nowMs: record.swappedAtMs + 1_000 };

  it('takes the entry away that a swap has added', () => {
    const workload = { ...swapped, annotations: annotationsOf(record) };
    expect(planRestore(workload, record)?.pullSecrets).toEqual({ add: [], remove: ['pull'] });
    const undo = planUndo({ workload, record, pods, ...times });
    expect(undo?.patch.pullSecrets).toEqual({ add: [], remove: ['pull'] });
    expect(undo?.patch.annotations['backup-image-registry/status']).not.toContain('pullSecret');
  });

  it('leaves one that the user wrote', () => {
    const { pullSecret: _, ...users } = record;
    const workload = { ...swapped, annotations: annotationsOf(users) };
    expect(planRestore(workload, users)).not.toHaveProperty('pullSecrets');
    const undo = planUndo({ workload, record: users, pods, ...times });
    expect(undo?.patch).not.toHaveProperty('pullSecrets');
  });

  it('keeps the entry after an undo for as long as another slot holds a copy', () => {
    const both = {
      ...record,
      originals: new Map([...record.originals, ['sidecar', 'envoy:1']]),
      copies: new Map([...record.copies, ['sidecar', SIDECAR]]),
    };
    const workload = { ...swapped, slots: [aSlot(COPY), aSlot(SIDECAR, { name: 'sidecar' })] };
    const undo = planUndo({ workload, record: both, pods, ...times });
    expect(undo?.patch).not.toHaveProperty('pullSecrets');
    expect(parseRecord(undo?.patch.annotations as Record<string, string>).pullSecret).toBe('pull');
  });
});
