import { expect, it } from 'vitest';

import { findFormerRecord } from '../../../../src/reconcile/decide/originals/former-record.ts';
import type { SwapRecord } from '../../../../src/workloads/record.ts';
import type { FormerTemplate } from '../../../../src/workloads/workload.ts';
import { DIGEST, aSlot, aWorkload, annotationsOf } from '../../../support/builders.ts';

const NOW_MS = 1_700_000_000_000;
const copyOf = (tag: string): string => `backup.example/p/docker.io/library/nginx:${tag}@${DIGEST}`;

function aRecord(tag: string, record: Partial<SwapRecord> = {}): SwapRecord {
  return {
    originals: new Map([['app', `nginx:${tag}`]]),
    copies: new Map([['app', copyOf(tag)]]),
    before: new Map(),
    swappedAtMs: NOW_MS - 60_000,
    uid: 'uid-1',
    ...record,
  };
}

function aFormer(image: string, record?: SwapRecord): FormerTemplate {
  return { slots: [aSlot(image)], annotations: record ? annotationsOf(record) : {} };
}

const undone = aWorkload({ slots: [aSlot('nginx:1.27')] });
const swapped = aFormer(copyOf('1.27'), aRecord('1.27'));

it('finds the record that an undo has taken off', () => {
  expect(findFormerRecord({ workload: undone, nowMs: NOW_MS }, [aFormer('nginx:1.27'), swapped])).toEqual(
    aRecord('1.27'),
  );
});

it('finds a later record than that of the revision that has come back', () => {
  const held = aRecord('1.27', {
    swappedAtMs: NOW_MS - 9_000_000,
    reverts: { count: 1, sinceMs: 1, ofMs: NOW_MS - 9_000_000, holds: 1 },
  });
  const workload = aWorkload({ ...undone, annotations: annotationsOf(held) });
  expect(findFormerRecord({ workload, nowMs: NOW_MS }, [aFormer('nginx:1.27', held), swapped])).toEqual(
    aRecord('1.27'),
  );
});

it('finds a hold that was taken off', () => {
  const { swappedAtMs } = aRecord('1.27');
  const held = aRecord('1.27', {
    reverts: { count: 1, sinceMs: 1_000, ofMs: swappedAtMs, holds: 1, untilMs: NOW_MS + 1_000 },
  });
  expect(
    findFormerRecord({ workload: undone, nowMs: NOW_MS }, [swapped, aFormer('nginx:1.27', held)]),
  ).toEqual(held);
});

it.each<[string, readonly FormerTemplate[]]>([
  ['there is no other revision', [aFormer('nginx:1.27')]],
  ['the record is of another workload', [aFormer(copyOf('1.27'), aRecord('1.27', { uid: 'uid-2' }))]],
  [
    'another image was swapped since',
    [swapped, aFormer(copyOf('1.28'), aRecord('1.28', { swappedAtMs: NOW_MS }))],
  ],
  ['no revision had what the record calls our copy', [aFormer('nginx:1.26', aRecord('1.27'))]],
  [
    'the record is of a time to come',
    [aFormer(copyOf('1.27'), aRecord('1.27', { swappedAtMs: NOW_MS + 1 }))],
  ],
  [
    'the record names a foreign image',
    [aFormer('evil/x:1', aRecord('1.27', { copies: new Map([['app', 'evil/x:1']]) }))],
  ],
])('finds none when %s', (_, formers) => {
  expect(findFormerRecord({ workload: undone, nowMs: NOW_MS }, formers)).toBeUndefined();
});

it('finds none when the workload has the newest itself', () => {
  const workload = aWorkload({ ...undone, annotations: annotationsOf(aRecord('1.27')) });
  expect(findFormerRecord({ workload, nowMs: NOW_MS }, [swapped])).toBeUndefined();
});

it('finds the record of a newer copy of the same tag only where tags are followed', () => {
  const older = `${copyOf('1.27').slice(0, -64)}${'c'.repeat(64)}`;
  const own = aRecord('1.27', { copies: new Map([['app', older]]), swappedAtMs: NOW_MS - 120_000 });
  const workload = aWorkload({ slots: [aSlot(older)], annotations: annotationsOf(own) });
  const facts = { workload, nowMs: NOW_MS };
  expect(findFormerRecord({ ...facts, followsTags: true }, [swapped])).toEqual(aRecord('1.27'));
  expect(findFormerRecord(facts, [swapped])).toBeUndefined();
});
