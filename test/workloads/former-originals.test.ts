import { describe, expect, it } from 'vitest';

import { planFormer } from '../../src/workloads/former-originals.ts';
import { type SwapRecord, formatRecord, parseRecord } from '../../src/workloads/record.ts';
import { aSlot } from '../support/builders.ts';

const slots = [aSlot('nginx:1.28', { name: 'app' })];
const RECORD: SwapRecord = {
  originals: new Map([['app', 'nginx:1.27']]),
  copies: new Map([['app', 'backup.example/p/docker.io/library/nginx:1.27']]),
  before: new Map(),
  swappedAtMs: 1,
};
const NEXT = new Map([['app', 'backup.example/p/docker.io/library/nginx:1.28']]);

describe('what is kept of a copy that a slot does not hold any more', () => {
  it('is its original, for the kinds whose earlier revisions come back without annotations', () => {
    const known = new Map([['backup.example/p/docker.io/library/nginx:1.27', 'nginx:1.27']]);
    expect(planFormer({ kind: 'DaemonSet', slots }, RECORD, NEXT)).toEqual(new Map([['app', known]]));
    expect(planFormer({ kind: 'StatefulSet', slots }, RECORD, new Map())).toEqual(new Map([['app', known]]));
    expect(planFormer({ kind: 'Deployment', slots }, RECORD, NEXT)).toBeUndefined();
    expect(planFormer({ kind: 'CronJob', slots }, RECORD, NEXT)).toBeUndefined();
  });

  it('is nothing while the slot holds that copy', () => {
    expect(planFormer({ kind: 'DaemonSet', slots }, RECORD, RECORD.copies)).toBeUndefined();
  });

  it('is that of the last ten, and what was there before the first of them is forgotten', () => {
    const known = Array.from({ length: 10 }, (_, at) => [`copy:${at}`, `nginx:${at}`] as const);
    const former = new Map([['app', new Map(known)]]);
    const [last] = [...RECORD.copies.values()];
    expect([
      ...(planFormer({ kind: 'DaemonSet', slots }, { ...RECORD, former }, NEXT)?.get('app') ?? []),
    ]).toEqual([...known.slice(1), [last, 'nginx:1.27']]);
  });

  it('is never less than the one that a slot holds, however old', () => {
    const known = Array.from({ length: 11 }, (_, at) => [`copy:${at}`, `nginx:${at}`] as const);
    const former = new Map([['app', new Map(known)]]);
    const holding = { kind: 'DaemonSet', slots: [aSlot('copy:0', { name: 'app' })] } as const;
    const kept = planFormer(holding, { ...RECORD, former }, NEXT)?.get('app');
    expect(kept?.get('copy:0')).toBe('nginx:0');
    expect(kept?.size).toBe(10);
  });

  it('is nothing of a container that is gone, and of long names only as many as an annotation may hold', () => {
    const long = Array.from({ length: 10 }, (_, at) => [`copy:${at}${'x'.repeat(3_000)}`, 'nginx'] as const);
    const former = new Map([
      ['app', new Map(long)],
      ['gone', new Map([['copy:1', 'nginx:1']])],
    ]);
    const kept = planFormer({ kind: 'DaemonSet', slots }, { ...RECORD, former }, NEXT);
    expect([...(kept?.keys() ?? [])]).toEqual(['app']);
    expect(JSON.stringify([...(kept?.get('app') ?? [])]).length).toBeLessThan(17_000);
    expect(kept?.get('app')?.size).toBe(6);
  });

  it('is read back from the annotations, and nonsense in it is dropped', () => {
    const former = new Map([['app', new Map([['copy:1', 'nginx:1']])]]);
    const written = formatRecord({ ...RECORD, former }) as Record<string, string>;
    expect(parseRecord(written)).toEqual({ ...RECORD, former });
    const status = (text: unknown) => ({
      ...written,
      'backup-image-registry/status': JSON.stringify({ v: 1, former: text }),
    });
    expect(parseRecord(status('x')).former).toBeUndefined();
    expect(parseRecord(status({ app: { 'copy:1': 7 } })).former).toEqual(new Map([['app', new Map()]]));
  });
});
