import { expect, it } from 'vitest';

import { decideRestore } from '../../../../src/reconcile/decide/originals/decide-restore.ts';
import type { Rollout } from '../../../../src/workloads/workload.ts';
import { DIGEST, aSlot, aWorkload, annotationsOf } from '../../../support/builders.ts';
import { byKind } from '../../../support/decisions.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const RECORD = {
  originals: new Map([['app', 'nginx:1.27']]),
  copies: new Map([['app', COPY]]),
  before: new Map(),
  swappedAtMs: 1,
};

function decideFor(rollout: Partial<Rollout>, { isPermitFree = true, image = COPY } = {}) {
  const annotations = { ...annotationsOf(RECORD), 'backup-image-registry/policy': 'ignore' };
  const workload = aWorkload({ slots: [aSlot(image)], annotations, rollout, owner: 'Canary/web' });
  return decideRestore({ workload, record: RECORD, isPermitFree, requeueIntervalMs: 30_000, nowMs: 0 });
}

it('puts the originals back, whatever the policy, and leaves the annotations of the user', () => {
  expect(byKind(decideFor({})).restore?.patch).toEqual({
    slots: [{ place: 'containers', name: 'app', image: 'nginx:1.27' }],
    annotations: { 'backup-image-registry/original-images': null, 'backup-image-registry/status': null },
  });
});

it('waits for its turn when pods that serve would be replaced', () => {
  expect(decideFor({}, { isPermitFree: false })).toEqual({
    events: [],
    actions: [{ is: 'wait', reason: 'too many rollouts' }],
    requeueAfterMs: 30_000,
  });
});

it.each<[string, Partial<Rollout>, string]>([
  ['that serves', {}, 'awaited'],
  ['whose rollout is stuck', { available: 1 }, 'taken'],
  ['of which nothing serves', { available: 0 }, 'taken'],
  ['whose status is old', { generation: 2 }, 'taken'],
  ['that is paused', { paused: true }, 'none'],
  ['that is paused in the middle of a rollout', { paused: true, updated: 1 }, 'none'],
  ['that is scaled to zero', { desired: 0, current: 0, updated: 0, available: 0 }, 'none'],
  ['that is being scaled to zero', { desired: 0 }, 'none'],
  ['that replaces pods only when they are deleted', { onDelete: true, updated: 0 }, 'none'],
])('restores a workload %s, with a permit in the rollout budget: %s', (_, rollout, permit) => {
  expect(byKind(decideFor(rollout)).restore?.permit).toBe(permit);
});

it.each<[string, Partial<Rollout>]>([
  ['is stuck', { available: 1 }],
  ['is paused', { paused: true }],
  ['has no pods', { desired: 0, current: 0, updated: 0, available: 0 }],
])('keeps nobody waiting whose workload %s', (_, rollout) => {
  expect(byKind(decideFor(rollout, { isPermitFree: false })).restore).toBeDefined();
});

it('needs no permit to take annotations off a workload that has other images by now', () => {
  const { restore } = byKind(decideFor({}, { isPermitFree: false, image: 'nginx:1.28' }));
  expect(restore).toMatchObject({ permit: 'none', patch: { slots: [] } });
});

it('leaves a workload alone that is being deleted', () => {
  expect(decideFor({ terminating: true })).toEqual({ actions: [], events: [] });
});
