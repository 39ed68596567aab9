import { describe, expect, it } from 'vitest';

import { mayHaveStuckPods, planStuckPods } from '../../../../src/reconcile/decide/pods/stuck-pods.ts';
import { type SwapRecord, parseRecord } from '../../../../src/workloads/record.ts';
import type { Pod } from '../../../../src/workloads/workload.ts';
import { DIGEST, OTHER_DIGEST, aSlot, aWorkload, someSettings } from '../../../support/builders.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const UNDONE_AT_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;
const UNDONE: SwapRecord = {
  ...parseRecord({}),
  swappedAtMs: UNDONE_AT_MS,
  hold: { untilMs: UNDONE_AT_MS + HOUR_MS, failures: 1, images: new Map([['app', 'nginx:1.27']]) },
};
const ROLLING = { current: 2, updated: 1, available: 1 };
const prefix = someSettings().REGISTRY_PREFIX;
const db = aWorkload({ kind: 'StatefulSet', name: 'db', uid: 'uid-db', rollout: ROLLING });

function aStuckPod({ image = COPY, reason = 'ImagePullBackOff', by = 'uid-db', imageId = '' } = {}): Pod {
  const waiting = { reason, message: '401' };
  return {
    name: 'db-1',
    made: { uid: 'uid-pod', by: { uid: by, name: 'db' } },
    createdAtMs: 0,
    ready: false,
    containers: [{ name: 'app', image, imageId, waiting }],
  };
}

const plan = (pod: Pod, workload = db) => planStuckPods({ workload, record: UNDONE, pods: [pod], prefix });

describe('a pod that does not become ready with a copy, after the undo', () => {
  const crashing = aStuckPod({ reason: 'CrashLoopBackOff', imageId: `backup.example/p@${DIGEST}` });

  it('gets the image of the template, because a StatefulSet waits for it for ever', () => {
    expect(plan(crashing)[0]?.slots).toMatchObject([{ image: 'nginx:1.27' }]);
  });

  it.each<[string, Partial<Pod>]>([
    ['it is ready', { ready: true }],
    ['it is on its way out', { leaving: true }],
    ['it was ready when the swap was undone', { unreadySinceMs: UNDONE_AT_MS + 1 }],
  ])('is left alone when %s', (_, parts) => {
    expect(plan({ ...crashing, ...parts })).toEqual([]);
  });

  it('gets the image of the template, too, when admission has dropped the tag of the copy', () => {
    const image = COPY.replace(':1.27', '');
    const dropped = { ...crashing, containers: crashing.containers.map((one) => ({ ...one, image })) };
    expect(plan(dropped)[0]?.slots).toMatchObject([{ image: 'nginx:1.27' }]);
    const former = image.replace('backup.example/p', 'old.example/q');
    expect(plan(aStuckPod({ image: former }))[0]?.slots).toMatchObject([{ image: 'nginx:1.27' }]);
    expect(plan(aStuckPod({ image: former.replace('nginx', 'redis') }))).toEqual([]);
  });

  it('is left alone when it is of a run, which may have ended', () => {
    const cronJob = aWorkload({ kind: 'CronJob', name: 'db', uid: 'uid-db', rollout: ROLLING });
    expect(plan(crashing, cronJob)).toEqual([]);
  });

  it('is left alone when somebody has deployed another image since', () => {
    expect(plan(crashing, { ...db, slots: [aSlot('nginx:1.28')] })).toEqual([]);
  });
});

describe('a pod that waits for a copy after the undo', () => {
  it('gets the image of the template', () => {
    expect(plan(aStuckPod())).toEqual([
      { name: 'db-1', uid: 'uid-pod', slots: [{ place: 'containers', name: 'app', image: 'nginx:1.27' }] },
    ]);
  });

  it('gets the new image when somebody has deployed one meanwhile', () => {
    const deployed = { ...db, slots: [aSlot('nginx:1.28')] };
    expect(plan(aStuckPod(), deployed)[0]?.slots).toMatchObject([{ image: 'nginx:1.28' }]);
  });

  it('gets the copy when the swap came to the rescue of an original that cannot be pulled', () => {
    const rescued = { ...db, slots: [aSlot(COPY)] };
    const record = { ...UNDONE, originals: new Map([['app', 'nginx:1.27']]) };
    const pods = [aStuckPod({ image: 'nginx:1.27' })];
    const [patch] = planStuckPods({ workload: rescued, record, pods, prefix });
    expect(patch?.slots).toMatchObject([{ image: COPY }]);
  });

  it('gets the copy of today when it waits for one in the backup before, which the last swap has left behind', () => {
    const former = `old.example/q/docker.io/library/nginx:1.27@${DIGEST}`;
    const moved = { ...db, slots: [aSlot(COPY)] };
    const record = { ...UNDONE, before: new Map([['app', former]]) };
    const pods = [aStuckPod({ image: former })];
    const [patch] = planStuckPods({ workload: moved, record, pods, prefix });
    expect(patch?.slots).toMatchObject([{ image: COPY }]);
  });

  it('gets the image of the template when it waits for a copy of that in the backup before', () => {
    const former = `old.example/q/docker.io/library/nginx:1.27@${DIGEST}`;
    expect(plan(aStuckPod({ image: former }))[0]?.slots).toMatchObject([{ image: 'nginx:1.27' }]);
    expect(plan(aStuckPod({ image: former.replace('1.27', '1.28') }))).toEqual([]);
    const rescued = { ...db, slots: [aSlot(COPY.replace(DIGEST, OTHER_DIGEST))] };
    const record = { ...UNDONE, originals: new Map([['app', 'nginx:1.27']]) };
    const pods = [aStuckPod({ image: former })];
    expect(planStuckPods({ workload: rescued, record, pods, prefix })).toHaveLength(1);
  });

  it('gets that of today when it got the one it waits for in place, from a template that was older than we knew', () => {
    const replaced = { ...aStuckPod({ image: 'redis:7' }), replacedAtMs: UNDONE_AT_MS };
    expect(plan(replaced)[0]?.slots).toMatchObject([{ image: 'nginx:1.27' }]);
    expect(plan(aStuckPod({ image: 'redis:7' }))).toEqual([]);
  });

  it('is left alone when it was made of the template of today, and admission has made another image of that', () => {
    const swapped = { ...db, slots: [aSlot(COPY)], newestTemplate: 'db-2' };
    const record = { ...UNDONE, originals: new Map([['app', 'nginx:1.27']]) };
    const planOne = (pod: Pod, workload = swapped) =>
      planStuckPods({ workload, record, pods: [pod], prefix });
    const rewritten = aStuckPod({ image: COPY.replace('backup.example', 'mirror.example') });
    expect(planOne({ ...rewritten, template: 'db-1' })).toHaveLength(1);
    expect(planOne({ ...rewritten, template: 'db-2' })).toEqual([]);
    expect(planOne({ ...rewritten, template: 'db-2', replacedAtMs: UNDONE_AT_MS })).toHaveLength(1);
    const minute = Math.ceil(UNDONE_AT_MS / 60_000);
    const run = { ...rewritten, made: { uid: 'uid-pod', by: { uid: 'uid-job', name: `db-${minute}` } } };
    expect(planOne(run, { ...swapped, kind: 'CronJob' })).toEqual([]);
  });

  it('of a Job of a CronJob, too', () => {
    expect(plan(aStuckPod({ by: 'uid-job' }), { ...db, kind: 'CronJob' })).toHaveLength(1);
    const other = { ...db, kind: 'CronJob' as const, slots: [aSlot('redis:7')] };
    expect(plan(aStuckPod({ by: 'uid-job' }), other)).toEqual([]);
  });
});

it('a pod that cannot pull the copy, for want of the pull secret, is left alone', () => {
  const rescued = { ...db, slots: [aSlot(COPY)] };
  const record = { ...UNDONE, originals: new Map([['app', 'nginx:1.27']]), pullSecret: 'pull' };
  const pod = aStuckPod({ image: 'nginx:1.27' });
  const planFor = (one: Pod) => planStuckPods({ workload: rescued, record, pods: [one], prefix });
  expect(planFor(pod)).toEqual([]);
  expect(planFor({ ...pod, pullSecrets: ['pull'] })).toHaveLength(1);
  expect(plan(pod)).toEqual([]);
});

it('a pod that is replaced on deletion only gets no image but its own', () => {
  const onDelete = aWorkload({ kind: 'DaemonSet', uid: 'uid-db', rollout: { ...ROLLING, onDelete: true } });
  const planFor = (image: string, record = UNDONE) => {
    const workload = { ...onDelete, slots: [aSlot(image)] };
    return planStuckPods({ workload, record, pods: [aStuckPod()], prefix });
  };
  expect(planFor('nginx:1.27')).toHaveLength(1);
  expect(planFor('valkey:8')).toEqual([]);
  const other = { ...UNDONE, originals: new Map([['app', 'nginx:1.27']]) };
  expect(planFor(COPY.replace(DIGEST, OTHER_DIGEST), other)).toHaveLength(1);
});

it.each([
  ['has run before', aStuckPod({ imageId: DIGEST }), { ...db, slots: [aSlot('nginx:1.28')] }],
  ['waits for something else', aStuckPod({ reason: 'CrashLoopBackOff', image: 'nginx:1.26' }), db],
  ['waits for an image that is no copy', aStuckPod({ image: 'nginx:1.27-typo' }), db],
  ['has an image that is none', aStuckPod({ image: '--help' }), db],
  ['waits for what the template still says', aStuckPod(), { ...db, slots: [aSlot(COPY)] }],
  ['is of another workload with the same labels', aStuckPod({ by: 'uid-other' }), db],
])('leaves a pod alone that %s', (_, pod, workload) => {
  expect(plan(pod, workload)).toEqual([]);
});

it.each([
  ['a StatefulSet', db, true],
  ['a CronJob', aWorkload({ kind: 'CronJob', rollout: { desired: 0, current: 1, available: 1 } }), true],
  ['a StatefulSet that is rolled out', aWorkload({ kind: 'StatefulSet' }), false],
  [
    'a DaemonSet that updates on deletion',
    aWorkload({ kind: 'DaemonSet', rollout: { ...ROLLING, onDelete: true } }),
    true,
  ],
  [
    'a DaemonSet, whose controller replaces such pods,',
    aWorkload({ kind: 'DaemonSet', rollout: ROLLING }),
    false,
  ],
  ['a Deployment, whose controller replaces such pods,', aWorkload({ rollout: ROLLING }), false],
])('looks for stuck pods of %s as it should', (_, workload, expected) => {
  expect(mayHaveStuckPods(workload, UNDONE, { isRestoring: false, nowMs: UNDONE_AT_MS })).toBe(expected);
});

it('looks for stuck pods of what it has swapped only, and for a day', () => {
  const now = { isRestoring: false, nowMs: UNDONE_AT_MS };
  expect(mayHaveStuckPods(db, parseRecord({}), now)).toBe(false);
  expect(mayHaveStuckPods(db, UNDONE, { ...now, nowMs: UNDONE_AT_MS + 25 * HOUR_MS })).toBe(false);
});

it('looks for stuck pods during a restore, which leaves no record', () => {
  const nothing = parseRecord({});
  expect(mayHaveStuckPods(db, nothing, { isRestoring: true, nowMs: UNDONE_AT_MS })).toBe(true);
  const settled = aWorkload({ kind: 'StatefulSet' });
  expect(mayHaveStuckPods(settled, nothing, { isRestoring: true, nowMs: UNDONE_AT_MS })).toBe(false);
});
