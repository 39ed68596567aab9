import { expect, it } from 'vitest';

import { formatRecord, parseRecord, slotKey } from '../../src/workloads/record.ts';
import { annotationsOf } from '../support/builders.ts';

const RECORD = {
  originals: new Map([
    ['app', 'nginx:1.27'],
    ['volume:models', 'ghcr.io/acme/models:3'],
    ['constructor', 'busybox'],
  ]),
  copies: new Map([['app', 'backup.example/p/docker.io/library/nginx:1.27']]),
  before: new Map([['app', 'nginx:1.27']]),
  swappedAtMs: 1_700_000_000_000,
};

it('reads back what it wrote', () => {
  expect(parseRecord(annotationsOf(RECORD))).toEqual(RECORD);
});

it('tells an image volume from a container of the same name', () => {
  expect(slotKey({ place: 'volumes', name: 'app' })).not.toBe(slotKey({ place: 'containers', name: 'app' }));
});

it.each([
  ['nothing', {}],
  ['cut text', { 'backup-image-registry/status': '{"v":1,' }],
  ['a later version', { 'backup-image-registry/status': '{"v":2,"copies":{"app":"x"}}' }],
  ['a list', { 'backup-image-registry/status': '[1]' }],
  ['null', { 'backup-image-registry/status': 'null' }],
])('takes %s for no record', { tags: 'attack-annotation' }, (_, annotations: Record<string, string>) => {
  expect(parseRecord(annotations).copies.size).toBe(0);
});

it('drops what is no text', { tags: 'attack-annotation' }, () => {
  const record = parseRecord({
    'backup-image-registry/status': '{"v":1,"copies":{"app":5,"web":"x"},"before":[1],"swappedAt":"soon"}',
    'backup-image-registry/original-images': '{"app":{},"web":"nginx"}',
  });
  expect(record).toEqual({
    originals: new Map([['web', 'nginx']]),
    copies: new Map([['web', 'x']]),
    before: new Map(),
    swappedAtMs: 0,
  });
});

it('reads back a hold, and removes the annotation that has nothing to say', () => {
  const hold = { untilMs: 1_700_000_600_000, failures: 2, images: new Map([['app', 'nginx:1.27']]) };
  const record = { ...RECORD, originals: new Map(), copies: new Map(), before: new Map(), hold };
  expect(formatRecord(record)['backup-image-registry/original-images']).toBeNull();
  expect(parseRecord(annotationsOf(record))).toEqual(record);
});

it('reads back how often it was reverted, and for whom it was written', () => {
  const reverts = { count: 4, sinceMs: 1_700_000_000_000, ofMs: 1_700_000_100_000, holds: 2 };
  const record = { ...RECORD, uid: 'uid-1', appliedBy: 'helm', reverts };
  expect(parseRecord(annotationsOf(record))).toEqual(record);
  const held = { ...record, reverts: { ...reverts, untilMs: 1_700_000_600_000 } };
  expect(parseRecord(annotationsOf(held))).toEqual(held);
});

it('takes nonsense in it for nothing', { tags: 'attack-annotation' }, () => {
  const reverts = { count: -1, since: 5, of: 'never', holds: 1e300, until: [] };
  const status = { v: 1, reverts, uid: 5, appliedBy: {} };
  expect(parseRecord({ 'backup-image-registry/status': JSON.stringify(status) })).toEqual({
    originals: new Map(),
    copies: new Map(),
    before: new Map(),
    swappedAtMs: 0,
    reverts: { count: 0, sinceMs: 0, ofMs: 0, holds: 0 },
  });
});

it('reads back the pull secret of a swap, but nothing that cannot be one', () => {
  const record = { ...RECORD, pullSecret: 'pull' };
  expect(parseRecord(annotationsOf(record))).toEqual(record);
  for (const pullSecret of [5, '', 'x'.repeat(254)]) {
    const annotations = { 'backup-image-registry/status': JSON.stringify({ v: 1, pullSecret }) };
    expect(parseRecord(annotations)).not.toHaveProperty('pullSecret');
  }
});

it('reads no more of a record than a workload can have slots', { tags: 'attack-annotation' }, () => {
  const many = Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`app-${n}`, 'nginx:1']));
  const former = Object.fromEntries(Object.keys(many).map((key, n) => [key, n === 0 ? many : {}]));
  const { copies, originals, ...record } = parseRecord({
    'backup-image-registry/original-images': JSON.stringify(many),
    'backup-image-registry/status': JSON.stringify({
      v: 1,
      copies: many,
      former,
      keptSecrets: Object.keys(many),
    }),
  });
  expect([copies.size, originals.size, record.keptSecrets?.length]).toEqual([100, 100, 100]);
  expect([record.former?.size, record.former?.get('app-0')?.size]).toEqual([100, 100]);
});

it('reads back the longest record that a swap can write', () => {
  const keys = Array.from({ length: 100 }, (_, n) => `container-${n}`);
  const toTexts = (text: string) => new Map(keys.map((key) => [key, text]));
  const copies = Array.from({ length: 10 }, (_, n) => [`b.example/${n}`, `nginx:${n}`] as const);
  const record = {
    originals: toTexts(`docker.io/${'x'.repeat(200)}:1`),
    copies: toTexts(`backup.example/docker.io/${'x'.repeat(200)}:1`),
    before: toTexts(`docker.io/${'x'.repeat(200)}:1`),
    swappedAtMs: 1_700_000_000_000,
    hold: { untilMs: 1_700_000_600_000, failures: 2, images: toTexts('nginx:1') },
    keptSecrets: keys,
    former: new Map(keys.map((key) => [key, new Map(copies)])),
  };
  expect(parseRecord(annotationsOf(record))).toEqual(record);
});

it('does not read what says more than a swap can write', { tags: 'attack-size' }, () => {
  const keys = Array.from({ length: 30_000 }, (_, n) => n.toString(36));
  const hostile = Object.fromEntries([['app', 'x'], ...keys.map((key) => [key, 0])]) as object;
  const record = parseRecord({
    'backup-image-registry/status': JSON.stringify({ v: 1, copies: hostile }),
    'backup-image-registry/original-images': JSON.stringify(hostile),
  });
  expect([record.copies.size, record.originals.size]).toEqual([0, 0]);
  const deep = `{"v":1,"copies":{"app":"x"},"before":${'['.repeat(10_000)}${']'.repeat(10_000)}}`;
  expect(parseRecord({ 'backup-image-registry/status': deep }).copies.size).toBe(0);
});
