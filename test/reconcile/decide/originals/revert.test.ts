import { describe, expect, it } from 'vitest';

import {
  type Revert,
  type RevertFacts,
  planRevert,
  planReverts,
} from '../../../../src/reconcile/decide/originals/revert.ts';
import { findOriginal } from '../../../../src/reconcile/decide/slots/slot-plan.ts';
import { type Reverts, type SwapRecord, parseRecord } from '../../../../src/workloads/record.ts';
import type { Slot, Workload } from '../../../../src/workloads/workload.ts';
import { DIGEST, aSlot, aWorkload } from '../../../support/builders.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW_MS = 1_700_000_000_000;
const SWAPPED_MS = NOW_MS - 5_000;
const ORIGINAL = 'nginx:1.27';
const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;

const RECORD: SwapRecord = {
  originals: new Map([['app', ORIGINAL]]),
  copies: new Map([['app', COPY]]),
  before: new Map([['app', ORIGINAL]]),
  swappedAtMs: SWAPPED_MS,
  uid: 'uid-1',
};
const REVERTS: Reverts = { count: 1, sinceMs: NOW_MS - 60_000, ofMs: NOW_MS - 60_000, holds: 0 };

interface Case {
  readonly slots?: readonly Slot[];
  readonly record?: Partial<SwapRecord>;
  readonly by?: string;
  readonly facts?: Partial<RevertFacts>;
}

/** A workload of which `by` owns the images: `Apply argocd-controller`, `Update kubectl`. */
function aCase({ slots, record, by = 'Update kubectl-client-side-apply', facts }: Case): RevertFacts {
  const [operation, manager = ''] = by.split(' ');
  const workload: Workload = aWorkload({
    slots: slots ?? [aSlot(ORIGINAL)],
    imageOwners: by === '' ? [] : [{ manager, isApply: operation === 'Apply' }],
  });
  return { workload, record: { ...RECORD, ...record }, nowMs: NOW_MS, ...facts };
}

const plan = (one: Case): Revert | undefined => planRevert(aCase(one));

/** Applies the hold that was decided, and moves on in time. */
function hold(one: Case, laterMs: number): RevertFacts {
  const facts = aCase(one);
  const revert = planRevert(facts);
  const annotations = revert?.is === 'to be held' ? revert.hold.patch.annotations : {};
  const record = parseRecord(annotations as Record<string, string>);
  return { ...facts, record, nowMs: NOW_MS + laterMs };
}

it.each<[string, Case]>([
  ['the slot holds its copy', { slots: [aSlot(COPY)] }],
  ['the slot has a new image', { slots: [aSlot('nginx:1.28')] }],
  [
    'another slot has a new image at the same time',
    {
      slots: [aSlot(ORIGINAL), aSlot('envoy:2', { name: 'side' })],
      record: {
        originals: new Map([...RECORD.originals, ['side', 'envoy:1']]),
        copies: new Map([...RECORD.copies, ['side', 'backup.example/p/docker.io/library/envoy:1']]),
      },
    },
  ],
  ['the same image is written in another way', { slots: [aSlot('docker.io/library/nginx:1.27')] }],
  ['a container has gone or was renamed', { slots: [aSlot(ORIGINAL, { name: 'web' })] }],
  ['nothing is recorded', { record: { originals: new Map(), copies: new Map() } }],
  ['it is the record of another workload', { record: { uid: 'uid-2' } }],
  [
    'the recorded copy is one of another image',
    { record: { copies: new Map([['app', 'evil.example/x:1']]) } },
  ],
  ['the recorded copy is no reference', { record: { copies: new Map([['app', '--help']]) } }],
  ['we have put it back ourselves', { by: 'Update backup-image-registry-controller' }],
])('is no revert when %s', (_, one) => {
  expect(plan(one)).toBeUndefined();
});

describe('a tool that puts the original back', () => {
  it.each([
    ['for the first time', undefined, { count: 1, sinceMs: NOW_MS }],
    ['for the third time within an hour', { ...REVERTS, count: 2 }, { count: 3, sinceMs: REVERTS.sinceMs }],
    [
      'for the fourth time, the first an hour ago',
      { ...REVERTS, count: 3, sinceMs: NOW_MS - HOUR_MS },
      { count: 1, sinceMs: NOW_MS },
    ],
    [
      'after times that lie ahead of us',
      { ...REVERTS, count: 99, sinceMs: NOW_MS + DAY_MS },
      { count: 1, sinceMs: NOW_MS },
    ],
  ])('%s leads to another swap at once', (_, reverts, expected) => {
    expect(plan({ ...(reverts && { record: { reverts } }) })).toEqual({
      is: 'to be swapped again',
      reverts: { ofMs: SWAPPED_MS, holds: 0, ...expected },
    });
  });

  it('for the fourth time within an hour leads to a hold of a day', () => {
    const one = { record: { reverts: { ...REVERTS, count: 3 } } };
    expect(plan(one)?.is).toBe('to be held');
    expect(planRevert(hold(one, 0))).toEqual({ is: 'held', untilMs: NOW_MS + DAY_MS });
    expect(planRevert(hold(one, DAY_MS - 1))?.is).toBe('held');
  });

  it('is not counted again when the hold is over: the next swap is one like any other', () => {
    expect(planRevert(hold({ record: { reverts: { ...REVERTS, count: 3 } } }, DAY_MS))).toBeUndefined();
  });

  it.each([
    [1, 2],
    [2, 4],
    [3, 7],
    [4_000, 7],
  ])('after %i holds is held for %i days', (holds, days) => {
    const held = hold({ record: { reverts: { ...REVERTS, count: 3, holds } } }, 0);
    expect(planRevert(held)).toEqual({ is: 'held', untilMs: NOW_MS + days * DAY_MS });
  });

  it('is held no longer once its user asks for a refresh', () => {
    const held = hold({ record: { reverts: { ...REVERTS, count: 3 } } }, HOUR_MS);
    expect(planRevert(held)?.is).toBe('held');
    const workload = { ...held.workload, annotations: { 'backup-image-registry/refresh': 'now' } };
    expect(planRevert({ ...held, workload })).toBeUndefined();
  });

  it('is held although it was refreshed before that, and until it is refreshed once more', () => {
    const facts = aCase({ record: { reverts: { ...REVERTS, count: 3 } } });
    const refreshed = (value: string): Workload => ({
      ...facts.workload,
      annotations: { 'backup-image-registry/refresh': value },
    });
    const revert = planRevert({ ...facts, workload: refreshed('before') });
    const annotations = revert?.is === 'to be held' ? revert.hold.patch.annotations : {};
    const later = { ...facts, record: parseRecord(annotations as Record<string, string>) };
    expect(planRevert({ ...later, workload: refreshed('before') })?.is).toBe('held');
    expect(planRevert({ ...later, workload: refreshed('again') })).toBeUndefined();
  });

  it('changes nothing but annotations for a hold', () => {
    const revert = plan({ record: { reverts: { ...REVERTS, count: 3 } } });
    expect(revert).toMatchObject({ is: 'to be held', hold: { patch: { slots: [] } } });
  });
});

describe('a person who puts the original back', () => {
  it.each(['Update kubectl', 'Update kubectl-set', 'Update kubectl-edit', 'Update kubectl-patch'])(
    'as %s is respected the first time',
    (by) => {
      expect(plan({ by })).toMatchObject({
        is: 'to be held',
        hold: { event: { reason: 'SwapReverted', note: expect.stringMatching(/kubectl rollout undo/) } },
      });
    },
  );

  it('is any kubectl that has taken our record off', () => {
    const by = 'Update kubectl-client-side-apply';
    expect(plan({ by, facts: { isRecordLost: true } })?.is).toBe('to be held');
    expect(plan({ by })?.is).toBe('to be swapped again');
  });

  it.each(['Apply kubectl', 'Update kubectl-client-side-apply', 'Update operator', ''])('is not %j', (by) => {
    expect(plan({ by })?.is).toBe('to be swapped again');
  });

  it('is not an operator that takes our record off', () => {
    expect(plan({ by: 'Update operator', facts: { isRecordLost: true } })?.is).toBe('to be swapped again');
  });
});

it.each([
  [
    'Apply argocd-controller',
    /argocd-controller put back "?nginx:1\.27"? in app, 4 times.*ignoreDifferences/,
  ],
  ['Apply kustomize-controller', /Flux Kustomization.*spec\.ignore/],
  ['Apply helm-controller', /Flux HelmRelease.*driftDetection/],
  ['Apply helm', /helm upgrade/],
  ['Update kubectl-client-side-apply', /runs kubectl/],
  ['Update acme-operator', /operator that writes as "?acme-operator"?/],
  ['', /somebody put back/],
])('says of %j what to configure there', (by, advice) => {
  const revert = plan({ by, record: { reverts: { ...REVERTS, count: 3 } } });
  expect(revert?.is === 'to be held' && revert.hold.event.note).toMatch(advice);
});

describe('a forged record', { tags: 'attack-annotation' }, () => {
  it.each([
    ['a hold for ever', { ...REVERTS, ofMs: SWAPPED_MS, untilMs: NOW_MS + 1_000 * DAY_MS }],
    [
      'a hold a little longer than any of ours',
      { ...REVERTS, ofMs: SWAPPED_MS, untilMs: NOW_MS + 7 * DAY_MS + 1 },
    ],
  ])('cannot ask for %s', (_, reverts) => {
    expect(plan({ record: { reverts } })).toBeUndefined();
  });
});

it('is a revert of one slot, too, while the others hold their copies', () => {
  const sidecar = `backup.example/p/docker.io/library/envoy:1@${DIGEST}`;
  const record = {
    originals: new Map([...RECORD.originals, ['side', 'envoy:1']]),
    copies: new Map([...RECORD.copies, ['side', sidecar]]),
  };
  const slots = [aSlot(ORIGINAL), aSlot(sidecar, { name: 'side' })];
  expect(plan({ slots, record })).toMatchObject({ is: 'to be swapped again' });
});

it('is counted with one that came in the same moment', () => {
  const reverts = { ...REVERTS, sinceMs: NOW_MS };
  expect(plan({ record: { reverts } })).toMatchObject({ reverts: { count: 2 } });
});

describe('what the next swap writes down', () => {
  const reverts = { ...REVERTS, holds: 2 };

  it('is how often it was reverted although another slot was never swapped', () => {
    const slots = [aSlot(ORIGINAL), aSlot('envoy:1', { name: 'side' })];
    expect(planReverts(aCase({ slots, record: { reverts } }), undefined)).toEqual(reverts);
  });

  it('is nothing after a deploy to one of two slots', () => {
    const record = {
      reverts,
      originals: new Map([...RECORD.originals, ['side', 'envoy:1']]),
      copies: new Map([...RECORD.copies, ['side', 'backup.example/p/docker.io/library/envoy:1']]),
    };
    const slots = [aSlot(ORIGINAL), aSlot('envoy:2', { name: 'side' })];
    expect(planReverts(aCase({ slots, record }), undefined)).toBeUndefined();
  });

  it('is how often it was reverted', () => {
    const facts = aCase({ record: { reverts } });
    expect(planReverts(facts, planRevert(facts))).toMatchObject({ count: 2, holds: 2 });
  });

  it('is how often it was held before, once the hold is over', () => {
    expect(planReverts(aCase({ record: { reverts } }), undefined)).toEqual(reverts);
    expect(planReverts(aCase({ slots: [aSlot(COPY)], record: { reverts } }), undefined)).toEqual(reverts);
  });

  it('is nothing after a deploy', () => {
    expect(
      planReverts(aCase({ slots: [aSlot('nginx:1.28')], record: { reverts } }), undefined),
    ).toBeUndefined();
  });
});

describe('an earlier copy of the same tag, put back', () => {
  const EARLIER = `backup.example/p/docker.io/library/nginx:1.27@sha256:${'c'.repeat(64)}`;
  const undone: Case = {
    slots: [aSlot(EARLIER)],
    by: 'Update kubectl-rollout',
    facts: { followsTags: true },
  };

  it('by a person is respected where tags are followed, and its original stays known', () => {
    const { workload, record } = hold(undone, 0);
    expect(planRevert({ workload, record, nowMs: NOW_MS, followsTags: true })).toEqual({
      is: 'held',
      untilMs: NOW_MS + DAY_MS,
    });
    expect(findOriginal(aSlot(EARLIER), record)?.text).toBe(ORIGINAL);
  });

  it('by a program is swapped again, until that has done it too often', () => {
    const byProgram = { ...undone, by: 'Apply argocd-controller' };
    expect(plan(byProgram)?.is).toBe('to be swapped again');
    expect(plan({ ...byProgram, record: { reverts: { ...REVERTS, count: 3 } } })?.is).toBe('to be held');
  });

  it('makes the next hold longer', () => {
    const facts = hold(undone, DAY_MS);
    expect(planReverts({ ...facts, followsTags: true }, undefined)).toMatchObject({ holds: 1 });
  });

  it.each<[string, Case]>([
    ['tags are not followed', { ...undone, facts: {} }],
    ['it is a copy of another tag', { ...undone, slots: [aSlot(EARLIER.replace(':1.27@', ':1.26@'))] }],
    ['it is an image of its own', { ...undone, slots: [aSlot(`nginx:1.27@sha256:${'c'.repeat(64)}`)] }],
    ['it is the record of another workload', { ...undone, record: { uid: 'uid-2' } }],
  ])('is a deploy like any other when %s', (_, one) => {
    expect(plan(one)).toBeUndefined();
  });
});
