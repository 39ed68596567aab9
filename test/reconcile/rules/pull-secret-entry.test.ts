import { describe, expect, it } from 'vitest';

import { planEntry } from '../../../src/reconcile/rules/pull-secret-entry.ts';
import { planRestore } from '../../../src/reconcile/rules/restore.ts';
import { planUndo } from '../../../src/reconcile/rules/undo.ts';
import { type SwapRecord, parseRecord } from '../../../src/workloads/record.ts';
import { DIGEST, annotationsOf, aSlot, aWorkload } from '../../support/builders.ts';

const NOTHING = parseRecord({});
const OURS: SwapRecord = { ...NOTHING, pullSecret: 'pull' };
const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const SIDECAR = `backup.example/p/docker.io/library/envoy:1@${DIGEST}`;

const having = (...pullSecrets: readonly string[]) => aWorkload({ pullSecrets });

describe('the entry of a swap', () => {
  it.each([
    ['is added when it is missing', having('mine'), NOTHING, 'pull', { add: 'pull' }, 'pull'],
    ['is there already after an earlier swap', having('pull'), OURS, 'pull', undefined, 'pull'],
    ['is added again when somebody has taken it away', having(), OURS, 'pull', { add: 'pull' }, 'pull'],
    ['is not ours when the user wrote it', having('pull'), NOTHING, 'pull', undefined, undefined],
    ['replaces the one of before', having('pull'), OURS, 'new', { add: 'new', remove: 'pull' }, 'new'],
    ['gives way to the user', having('pull', 'new'), OURS, 'new', { remove: 'pull' }, undefined],
    ['is none without PULL_SECRET', having(), NOTHING, undefined, undefined, undefined],
    ['stays without PULL_SECRET', having('pull'), OURS, undefined, undefined, 'pull'],
    ['is forgotten when it is gone', having(), OURS, undefined, undefined, undefined],
  ])('%s', (_, workload, record, wanted, patched, recorded) => {
    const { patch, record: after } = planEntry(workload, record, wanted);
    expect([patch.pullSecrets, after.pullSecret]).toEqual([patched, recorded]);
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
  const pods = [{ name: 'web-1', createdAtMs: 0, ready: false, containers }];

  it('takes the entry away that a swap has added', () => {
    const workload = { ...swapped, annotations: annotationsOf(record) };
    expect(planRestore(workload, record)?.pullSecrets).toEqual({ remove: 'pull' });
    const undo = planUndo({ workload, record, pods, nowMs: record.swappedAtMs + 1_000 });
    expect(undo?.patch.pullSecrets).toEqual({ remove: 'pull' });
    expect(undo?.patch.annotations['backup-image-registry/status']).not.toContain('pullSecret');
  });

  it('leaves one that the user wrote', () => {
    const { pullSecret: _, ...users } = record;
    const workload = { ...swapped, annotations: annotationsOf(users) };
    expect(planRestore(workload, users)).not.toHaveProperty('pullSecrets');
    const undo = planUndo({ workload, record: users, pods, nowMs: record.swappedAtMs + 1_000 });
    expect(undo?.patch).not.toHaveProperty('pullSecrets');
  });

  it('keeps the entry after an undo for as long as another slot holds a copy', () => {
    const both = {
      ...record,
      originals: new Map([...record.originals, ['sidecar', 'envoy:1']]),
      copies: new Map([...record.copies, ['sidecar', SIDECAR]]),
    };
    const workload = { ...swapped, slots: [aSlot(COPY), aSlot(SIDECAR, { name: 'sidecar' })] };
    const undo = planUndo({ workload, record: both, pods, nowMs: record.swappedAtMs + 1_000 });
    expect(undo?.patch).not.toHaveProperty('pullSecrets');
    expect(parseRecord(undo?.patch.annotations as Record<string, string>).pullSecret).toBe('pull');
  });
});
