/** What a workload is told, and when it is looked at again, while nothing can be done for it. */
import { describe, expect, it } from 'vitest';

import { parsePrefix } from '../../../src/images/copy-name.ts';
import type { CopyState } from '../../../src/reconcile/copies/copy-state.ts';
import { decide } from '../../../src/reconcile/decide/decide.ts';
import { decideRestore } from '../../../src/reconcile/decide/originals/decide-restore.ts';
import type { Decision, WorkloadFacts } from '../../../src/reconcile/decide/decision.ts';
import { findPolicy } from '../../../src/reconcile/decide/policy.ts';
import { planSlots } from '../../../src/reconcile/decide/slots/slot-plan.ts';
import { parseRecord, type SwapRecord } from '../../../src/workloads/record.ts';
import type { Rollout, Workload } from '../../../src/workloads/workload.ts';
import { DIGEST, aPodOf, aSlot, aVerifiedCopy, aWorkload, annotationsOf } from '../../support/builders.ts';
import { byKind } from '../../support/decisions.ts';
import { factsOf } from '../../support/facts.ts';

const DESTINATION = { prefix: parsePrefix('backup.example/p'), naming: 'nested' } as const;
const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const NOW_MS = 1_700_000_000_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const REQUEUE_MS = 30_000;
const ROLLING: Partial<Rollout> = { updated: 1, available: 1 };

function failed(sinceMs: number, isFinal = false): CopyState {
  return { phase: 'failed', reason: 'Timeout', side: 'source', message: 'slow', isFinal, sinceMs };
}

function decideOn(
  workload: Workload,
  copies: readonly CopyState[] = [aVerifiedCopy(COPY)],
  facts: Partial<WorkloadFacts> = {},
): Decision {
  return decide(factsOf(workload, { copyOf: (_, index) => copies[index] }, facts));
}

function swapped(
  agoMs: number,
  parts: Parameters<typeof aWorkload>[0] = {},
  record: Partial<SwapRecord> = {},
) {
  const originals = new Map([['app', 'nginx:1.27']]);
  const annotations = annotationsOf({
    originals,
    copies: new Map([['app', COPY]]),
    before: originals,
    swappedAtMs: NOW_MS - agoMs,
    uid: 'uid-1',
    ...record,
  });
  return aWorkload({ slots: [aSlot(COPY)], annotations, rollout: ROLLING, ...parts });
}

describe('a workload is looked at again', () => {
  it('with less haste when the swap of a DaemonSet that updates on deletion was long ago', () => {
    const parts = { kind: 'DaemonSet', rollout: { ...ROLLING, onDelete: true } } as const;
    const requeueAfterMs = (agoMs: number): number | undefined =>
      decideOn(swapped(agoMs, parts), undefined, { requeueIntervalMs: HOUR_MS }).requeueAfterMs;
    expect(requeueAfterMs(5 * MINUTE_MS)).toBe(10_000);
    expect(requeueAfterMs(2 * HOUR_MS)).toBe(2 * MINUTE_MS);
    expect(requeueAfterMs(100 * HOUR_MS)).toBe(HOUR_MS);
  });

  it.each([
    [REQUEUE_MS, 10_000],
    [5_000, 5_000],
  ])(
    'soon while a swap of it rolls out: with REQUEUE_AFTER %i ms after %i ms',
    (requeueIntervalMs, expected) => {
      expect(decideOn(swapped(MINUTE_MS), undefined, { requeueIntervalMs }).requeueAfterMs).toBe(expected);
    },
  );

  it.each([
    ['cannot pull its copy', { waiting: { reason: 'ErrImagePull', message: 'no such host' } }, 45_000],
    ['does not get ready', {}, 300_000],
  ])('at the very end of the time that a pod is given which %s', (_, state, graceMs) => {
    const web = swapped(10 * MINUTE_MS);
    const startedAtMs = NOW_MS - graceMs + 3_000;
    const pod = {
      ...aPodOf(web, ''),
      createdAtMs: startedAtMs,
      unreadySinceMs: startedAtMs,
      ready: false,
      containers: [{ name: 'app', image: COPY, imageId: '', ...state }],
    };
    const facts = { pods: [pod], requeueIntervalMs: HOUR_MS, rolloutTimeoutMs: 300_000 };
    expect(decideOn(web, undefined, facts).requeueAfterMs).toBe(3_000);
  });

  it('soon while a pod of it may be stuck that nobody replaces, also when the swap is no longer in flight', () => {
    const db = swapped(2 * HOUR_MS, { kind: 'StatefulSet' });
    expect(decideOn(db, undefined, { requeueIntervalMs: HOUR_MS }).requeueAfterMs).toBe(2 * MINUTE_MS);
  });

  it('not at all for a pod that may be stuck a day after the swap', () => {
    expect(decideOn(swapped(25 * HOUR_MS, { kind: 'StatefulSet' }))).toEqual({ actions: [], events: [] });
  });

  it('not so soon when it rolls out for reasons of its own', () => {
    expect(decideOn(aWorkload({ kind: 'StatefulSet', rollout: ROLLING }))).toMatchObject({
      actions: [{ is: 'wait', reason: 'rolling out' }],
      requeueAfterMs: REQUEUE_MS,
    });
  });

  it.each([
    ['a CronJob while a run of it may be stuck', { kind: 'CronJob', rollout: ROLLING }],
    [
      'a StatefulSet of which somebody says what is updated',
      { kind: 'StatefulSet', rollout: { available: 1, onDelete: true } },
    ],
  ] as const)('although it has no copy, because a pod may come to need a rescue: %s', (_, parts) => {
    expect(decideOn(aWorkload(parts), [failed(NOW_MS, true)])).toMatchObject({
      actions: [{ is: 'wait', reason: 'no copy' }],
      requeueAfterMs: REQUEUE_MS,
    });
  });

  it.each([
    ['it is rolled out', {}],
    ['it is paused', { rollout: { ...ROLLING, paused: true } }],
    ['it is about to be deleted', { rollout: { ...ROLLING, terminating: true } }],
  ])('only when something is heard of it, when it has no copy and %s', (_, parts) => {
    expect(decideOn(aWorkload(parts), [failed(NOW_MS, true)])).not.toHaveProperty('requeueAfterMs');
  });

  it('only when something is heard of it, once it is backed up', () => {
    expect(decideOn(swapped(2 * HOUR_MS, { rollout: { available: 1 } }))).toEqual({
      actions: [],
      events: [],
    });
  });

  it('only when something is heard of it, while it is to be copied and no more', () => {
    const annotations = { 'backup-image-registry/policy': 'copy' };
    const decision = decideOn(aWorkload({ annotations, rollout: ROLLING }));
    expect(decision).toMatchObject({ actions: [{ is: 'wait', reason: 'policy copy' }] });
    expect(decision).not.toHaveProperty('requeueAfterMs');
  });

  it('when the first of its copies is not waited for any longer', () => {
    const workload = aWorkload({ slots: [aSlot('nginx:1.27'), aSlot('envoy:1', { name: 'side' })] });
    const copies = [failed(NOW_MS - 5 * MINUTE_MS), failed(NOW_MS - 10 * MINUTE_MS)];
    expect(decideOn(workload, copies)).toMatchObject({
      actions: [{ is: 'wait', reason: 'copying' }],
      requeueAfterMs: 5 * MINUTE_MS,
    });
  });

  it('only when a copy settles that is being made', () => {
    expect(decideOn(aWorkload(), [{ phase: 'pending' }])).toEqual({
      actions: [{ is: 'wait', reason: 'copying' }],
      events: [],
    });
  });

  it('when the API server may be asked again for a swap that it has refused', () => {
    const decision = decideOn(aWorkload(), undefined, { deniedUntilMs: NOW_MS + HOUR_MS });
    expect(decision).toMatchObject({
      actions: [{ is: 'wait', reason: 'refused by the API server' }],
      requeueAfterMs: HOUR_MS,
    });
  });

  it('when the hold of a swap that was reverted ends, and not before', () => {
    const reverts = { count: 4, sinceMs: NOW_MS - HOUR_MS, ofMs: NOW_MS - 2 * HOUR_MS, holds: 1 };
    const held = { reverts: { ...reverts, untilMs: NOW_MS + 20 * HOUR_MS } };
    const web = swapped(2 * HOUR_MS, { slots: [aSlot('nginx:1.27')], rollout: {} }, held);
    expect(decideOn(web)).toMatchObject({
      actions: [{ is: 'wait', reason: 'held after a swap that was reverted' }],
      requeueAfterMs: 20 * HOUR_MS,
    });
    expect(decideOn(web, [failed(NOW_MS)])).toMatchObject({
      actions: [{ is: 'wait', reason: 'copying' }],
      requeueAfterMs: 15 * MINUTE_MS,
    });
  });
});

describe('a workload is told', () => {
  it('who manages it, when that is no owner', () => {
    expect(decideOn(aWorkload({ copyOnly: 'Flux' }))).toMatchObject({
      actions: [{ is: 'wait', reason: 'left to its manager' }],
    });
    expect(decideOn(aWorkload({ owner: 'Canary/web' }))).toMatchObject({
      actions: [{ is: 'wait', reason: 'owned by another controller' }],
    });
  });

  it('of a pull secret that is missing only when nothing else is', () => {
    const problem = { type: 'Warning', reason: 'PullSecretMissing', action: 'SwapImage', note: 'x' } as const;
    const facts = { pullSecretProblem: problem };
    expect(decideOn(aWorkload(), undefined, facts)).toMatchObject({
      actions: [{ is: 'wait', reason: 'no pull secret' }],
      events: [problem],
    });
    expect(decideOn(aWorkload({ rollout: { paused: true } }), [{ phase: 'pending' }], facts).events).toEqual(
      [],
    );
  });

  it('that it waits for a copy, although another slot is backed up', () => {
    const slots = [aSlot(COPY), aSlot('envoy:1', { name: 'side' })];
    const web = swapped(2 * HOUR_MS, { slots, rollout: {} });
    expect(decideOn(web, [aVerifiedCopy(COPY), failed(0, true)])).toMatchObject({
      actions: [{ is: 'confirm swap' }, { is: 'wait', reason: 'no copy' }],
    });
  });
});

it('a slot that only a rescue could help is not swapped like any other', () => {
  const workload = aWorkload();
  const [plan] = planSlots({
    workload,
    record: parseRecord({}),
    policy: findPolicy(workload, undefined),
    pods: [],
    ...DESTINATION,
    sourceHosts: ['*'],
  });
  const slot = aSlot('nginx:1.27');
  const stuck = { slot, reason: 'ErrImagePull', message: 'manifest unknown' };
  const slots =
    plan?.is === 'to be backed up' ? [{ plan: { ...plan, stuck }, copy: aVerifiedCopy(COPY) }] : [];
  expect(byKind(decideOn(workload, undefined, { slots }))).not.toHaveProperty('swap');
});

describe('after a restore', () => {
  function decideAfter(parts: Parameters<typeof aWorkload>[0]) {
    const facts = {
      record: parseRecord({}),
      isRefreshAsked: false,
      hasJustRolledOut: false,
      isPermitFree: true,
      requeueIntervalMs: REQUEUE_MS,
      nowMs: NOW_MS,
    };
    return decideRestore({ ...facts, workload: aWorkload(parts) });
  }

  it('the images are given back to their field manager, and nothing is given back that is not ours', () => {
    expect(decideAfter({ ownFieldsAt: 1 })).toEqual({ actions: [{ is: 'release images' }], events: [] });
    expect(decideAfter({})).toEqual({ actions: [], events: [] });
  });

  it('pods are looked after that nobody replaces', () => {
    expect(decideAfter({ kind: 'StatefulSet', rollout: ROLLING })).toEqual({
      actions: [],
      events: [],
      requeueAfterMs: REQUEUE_MS,
    });
    expect(decideAfter({ rollout: ROLLING })).toEqual({ actions: [], events: [] });
  });
});
