import { describe, expect, it } from 'vitest';

import { planFormer } from '../../src/workloads/former-originals.ts';
import { type SwapRecord, formatRecord, parseRecord } from '../../src/workloads/record.ts';

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
    expect(planFormer({ kind: 'DaemonSet' }, RECORD, NEXT)).toEqual(new Map([['app', known]]));
    expect(planFormer({ kind: 'StatefulSet' }, RECORD, new Map())).toEqual(new Map([['app', known]]));
    expect(planFormer({ kind: 'Deployment' }, RECORD, NEXT)).toBeUndefined();
    expect(planFormer({ kind: 'CronJob' }, RECORD, NEXT)).toBeUndefined();
  });

  it('is nothing while the slot holds that copy', () => {
    expect(planFormer({ kind: 'DaemonSet' }, RECORD, RECORD.copies)).toBeUndefined();
  });

  it('is that of the last ten, and what was there before the first of them is forgotten', () => {
    const known = Array.from({ length: 10 }, (_, at) => [`copy:${at}`, `nginx:${at}`] as const);
    const former = new Map([['app', new Map(known)]]);
    const [last] = [...RECORD.copies.values()];
    expect([...(planFormer({ kind: 'DaemonSet' }, { ...RECORD, former }, NEXT)?.get('app') ?? [])]).toEqual([
      ...known.slice(1),
      [last, 'nginx:1.27'],
    ]);
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
