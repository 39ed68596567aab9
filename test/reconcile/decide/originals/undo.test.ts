import { describe, expect, it } from 'vitest';

import type { SwapFacts } from '../../../../src/reconcile/decide/swaps/swap-failure.ts';
import { isSwapInFlight } from '../../../../src/reconcile/decide/swaps/swap-in-flight.ts';
import { findFailureHoldEndMs, planUndo } from '../../../../src/reconcile/decide/originals/undo.ts';
import { parseRecord, type SwapRecord } from '../../../../src/workloads/record.ts';
import type { Pod, Workload } from '../../../../src/workloads/workload.ts';
import { DIGEST, aSlot, aWorkload } from '../../../support/builders.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const SWAPPED_AT_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;
const RECORD: SwapRecord = {
  originals: new Map([['app', 'nginx:1.27']]),
  copies: new Map([['app', COPY]]),
  before: new Map([['app', 'nginx:1.27']]),
  swappedAtMs: SWAPPED_AT_MS,
};

/** As well of a ReplicaSet of the Deployment as of the workload itself, whatever its kind. */
const MADE = { made: { uid: 'uid-pod', by: { uid: 'uid-1', name: 'web-abc' } }, template: 'abc' };

/** A Deployment in the middle of the rollout that a swap has started. */
function rolling(rollout: Partial<Workload['rollout']> = {}): Workload {
  return aWorkload({
    slots: [aSlot(COPY)],
    rollout: { generation: 2, observedGeneration: 2, current: 3, updated: 1, ...rollout },
  });
}

function aStuckPod(reason = 'ImagePullBackOff', image = COPY): Pod {
  const waiting = { reason, message: 'Back-off pulling image: 401 Unauthorized' };
  return {
    name: 'web-2',
    ...MADE,
    createdAtMs: SWAPPED_AT_MS,
    ready: false,
    containers: [{ name: 'app', image, imageId: '', waiting }],
  };
}

function someFacts(facts: Partial<SwapFacts> = {}): SwapFacts {
  return {
    workload: rolling(),
    record: RECORD,
    pods: [aStuckPod()],
    rolloutTimeoutMs: 600_000,
    nowMs: SWAPPED_AT_MS + 60_000,
    ...facts,
  };
}

describe('a swap whose copy cannot be pulled', () => {
  it('is undone: the originals are put back, with the words of the kubelet', () => {
    const undo = planUndo(someFacts());
    expect(undo?.patch.slots).toEqual([{ place: 'containers', name: 'app', image: 'nginx:1.27' }]);
    expect(undo?.event).toMatchObject({ type: 'Warning', reason: 'SwapRolledBack' });
    expect(undo?.event.note).toMatch(/ImagePullBackOff: Back-off pulling image: 401 Unauthorized/);
  });

  it('is told with the reason, which the kubelet says last', () => {
    const image = `backup.example/${'p'.repeat(60)}/nginx:1.27@${DIGEST}`;
    const message =
      `Back-off pulling image "${image}": ErrImagePull: rpc error: code = Unknown desc = failed to pull and unpack ` +
      `image "${image}": failed to resolve image: authorization failed: no basic auth credentials`;
    const [container] = aStuckPod().containers;
    const waiting = { reason: 'ImagePullBackOff', message };
    const pods = container ? [{ ...aStuckPod(), containers: [{ ...container, waiting }] }] : [];
    expect(planUndo(someFacts({ pods }))?.event.note).toMatch(
      /no basic auth credentials\. Give the nodes access/,
    );
  });

  it('doubts the Secret when the swap came with one', () => {
    const facts = someFacts({ pods: [aStuckPod()] });
    const record = { ...facts.record, pullSecret: 'pull' };
    expect(planUndo({ ...facts, record })?.event.note).toMatch(
      /\. See whether the Secret that PULL_SECRET names may pull from the backup registry; it is tried again/,
    );
  });

  it('is undone at a run of a CronJob long after the swap', () => {
    const startedAtMs = SWAPPED_AT_MS + 10 * HOUR_MS;
    const run = { desired: 0, current: 1, updated: 1, available: 1, startedAtMs };
    const workload = { ...rolling(run), kind: 'CronJob' } as const;
    const pods = [{ ...aStuckPod(), createdAtMs: startedAtMs }];
    const facts = { workload, pods, nowMs: startedAtMs + 60_000 };
    expect(planUndo(someFacts(facts))?.patch.slots).toHaveLength(1);
    expect(planUndo(someFacts({ ...facts, nowMs: startedAtMs + 11 * 60_000 }))).toBeUndefined();
  });

  it('is given a short grace from the start of the pod while other pods serve', () => {
    expect(planUndo(someFacts({ nowMs: SWAPPED_AT_MS + 44_000 }))).toBeUndefined();
    const late = { ...aStuckPod(), createdAtMs: SWAPPED_AT_MS + 50_000 };
    expect(planUndo(someFacts({ pods: [late] }))).toBeUndefined();
  });

  it('is given that grace by a pod that got its image in place, even when no pod serves: what is said may be old', () => {
    const workload = rolling({ available: 0 });
    const replacedAtMs = SWAPPED_AT_MS + 10_000;
    const saying = (message: string): Pod => {
      const pod = aStuckPod();
      const containers = pod.containers.map((one) => ({
        ...one,
        waiting: { reason: 'ImagePullBackOff', message },
      }));
      const sidecar = { name: 'sidecar', image: 'envoy:1', imageId: '' };
      return {
        ...pod,
        containers: [sidecar, ...containers],
        createdAtMs: SWAPPED_AT_MS - HOUR_MS,
        replacedAtMs,
      };
    };
    const undo = (message: string, ageMs: number) =>
      planUndo(someFacts({ workload, pods: [saying(message)], nowMs: replacedAtMs + ageMs }));
    const [copy = ''] = aStuckPod().containers.map(({ image }) => image);
    expect(undo(`Back-off pulling image "${copy}"`, 44_000)).toBeUndefined();
    expect(undo(`Back-off pulling image "${copy}"`, 45_000)).toBeDefined();
    expect(undo(`failed to resolve reference "${copy.replace(/:[^:]*@/, '@')}"`, 45_000)).toBeDefined();
    expect(undo('Back-off pulling image "nginx:1.27"', HOUR_MS / 2)).toBeUndefined();
  });

  it('is undone although an autoscaler has changed the workload since', () => {
    expect(
      planUndo(someFacts({ workload: rolling({ generation: 7, observedGeneration: 7 }) })),
    ).toBeDefined();
  });

  it('is undone in the slots of that swap only, to what they held before it', () => {
    const old = `old.example/q/docker.io/library/nginx:1.27@${DIGEST}`;
    const sidecar = `backup.example/p/docker.io/library/envoy:1@${DIGEST}`;
    const workload = { ...rolling(), slots: [aSlot(COPY), aSlot(sidecar, { name: 'sidecar' })] };
    const record = {
      ...RECORD,
      originals: new Map([...RECORD.originals, ['sidecar', 'envoy:1']]),
      copies: new Map([...RECORD.copies, ['sidecar', sidecar]]),
      before: new Map([['app', old]]),
    };
    const undo = planUndo(someFacts({ workload, record }));
    expect(undo?.patch.slots).toEqual([{ place: 'containers', name: 'app', image: old }]);
    expect(parseRecord(undo?.patch.annotations as Record<string, string>)).toMatchObject({
      originals: record.originals,
      copies: new Map([
        ['app', old],
        ['sidecar', sidecar],
      ]),
    });
  });

  it('is remembered on kinds of which an earlier revision may bring the copy back', () => {
    const daemonSet = { ...rolling(), kind: 'DaemonSet' } as const;
    const written = planUndo(someFacts({ workload: daemonSet }))?.patch.annotations;
    expect(parseRecord(written as Record<string, string>).former).toEqual(
      new Map([['app', new Map([[COPY, 'nginx:1.27']])]]),
    );
  });

  it('keeps in mind whose workload it was, who applies it, and what has become of earlier swaps', () => {
    const reverts = { count: 1, sinceMs: SWAPPED_AT_MS, ofMs: SWAPPED_AT_MS, holds: 2 };
    const record = { ...RECORD, uid: 'uid-1', appliedBy: 'helm', reverts };
    const written = planUndo(someFacts({ record }))?.patch.annotations;
    expect(parseRecord(written as Record<string, string>)).toMatchObject({
      uid: 'uid-1',
      appliedBy: 'helm',
      reverts,
    });
  });

  it('is undone at once when no pod serves', () => {
    const facts = { workload: rolling({ available: 0 }), nowMs: SWAPPED_AT_MS + 1_000 };
    expect(planUndo(someFacts(facts))?.patch.slots).toHaveLength(1);
  });

  it('is undone at the very end of the grace', () => {
    expect(planUndo(someFacts({ nowMs: SWAPPED_AT_MS + 45_000 }))).toBeDefined();
  });

  it('quotes so much of a long message that its own words still fit', () => {
    const [container] = aStuckPod().containers;
    const waiting = { reason: 'ErrImagePull', message: 'x'.repeat(1_000) };
    const pods = container ? [{ ...aStuckPod(), containers: [{ ...container, waiting }] }] : [];
    expect(planUndo(someFacts({ pods }))?.event.note.length).toBeLessThan(1_024);
  });

  it('leaves nothing on record of slots that hold their originals again', () => {
    const written = planUndo(someFacts())?.patch.annotations as Record<string, string>;
    expect(written['backup-image-registry/original-images']).toBeNull();
    expect(parseRecord(written).copies.size).toBe(0);
  });

  it('forgets its record and holds the workload, longer every time', () => {
    const holdOf = (record: SwapRecord) =>
      parseRecord(planUndo(someFacts({ record }))?.patch.annotations as Record<string, string>).hold;
    expect(holdOf(RECORD)).toEqual({
      untilMs: SWAPPED_AT_MS + 60_000 + HOUR_MS,
      failures: 1,
      images: new Map([['app', 'nginx:1.27']]),
    });
    const hold = { untilMs: SWAPPED_AT_MS, failures: 2, images: new Map() };
    expect(holdOf({ ...RECORD, hold })).toMatchObject({
      untilMs: SWAPPED_AT_MS + 60_000 + 4 * HOUR_MS,
      failures: 3,
    });
  });
});

describe('a swap that a workload cannot follow is undone', () => {
  const secondMs = SWAPPED_AT_MS + 1_000;
  const daemonSet = (rollout: Partial<Workload['rollout']>): Workload => ({
    ...rolling({ desired: 3, current: 3, updated: 0, available: 3, ...rollout }),
    kind: 'DaemonSet',
  });
  const oldPod = aStuckPod('ContainerCreating', 'nginx:1.27');
  const quote = 'pods "web-x" is forbidden: exceeded quota';
  const refused = { sinceMs: SWAPPED_AT_MS + 1_000, message: quote };
  const volume = aSlot(COPY, { place: 'volumes', name: 'models' });
  const aMount = {
    ...aStuckPod('ImagePullBackOff', 'app:1'),
    volumes: [{ name: 'models', image: COPY }],
    containers: [
      {
        name: 'app',
        image: 'app:1',
        imageId: '',
        waiting: {
          reason: 'ImagePullBackOff',
          message: `Back-off pulling image "${COPY}": ErrImagePull: no`,
        },
      },
    ],
  };

  it.each<[string, Partial<SwapFacts>, RegExp]>([
    [
      'at once when it ends all pods before it starts new ones',
      { workload: rolling({ current: 2, updated: 2, available: 0, recreate: true }), nowMs: secondMs },
      /a node cannot run the copy of app/,
    ],
    [
      'at once when its only pod went first, without a surge',
      { workload: rolling({ desired: 1, current: 1, updated: 1, available: 0 }), nowMs: secondMs },
      /a node cannot run the copy of app/,
    ],
    [
      'after the grace when its only pod still serves',
      { workload: rolling({ desired: 1, current: 2, updated: 1, available: 1 }) },
      /a node cannot run the copy of app/,
    ],
    [
      'after the grace when a node of a DaemonSet is without its pod',
      { workload: daemonSet({ updated: 1, available: 2 }) },
      /a node cannot run the copy of app/,
    ],
    [
      'days later when somebody deletes a pod of a DaemonSet that waits for that',
      {
        workload: daemonSet({ available: 2, onDelete: true }),
        nowMs: SWAPPED_AT_MS + 48 * HOUR_MS,
      },
      /a node cannot run the copy of app/,
    ],
    [
      'when an init container is what cannot be pulled',
      {
        workload: { ...rolling(), slots: [aSlot(COPY, { place: 'initContainers' })] },
      },
      /a node cannot run the copy of app/,
    ],
    [
      'when an image volume is, which the container that mounts it shows',
      {
        workload: { ...rolling(), slots: [aSlot('app:1'), volume] },
        record: {
          ...RECORD,
          copies: new Map([['volume:models', COPY]]),
          before: new Map([['volume:models', 'nginx:1.27']]),
        },
        pods: [aMount],
      },
      /a node cannot run the copy of volume:models: ImagePullBackOff/,
    ],
    [
      'when its pods are refused for a while, quoting the API server',
      { workload: rolling({ refused }), pods: [] },
      /pods with the copies cannot be created: pods "web-x" is forbidden: exceeded quota\. Make room/,
    ],
    [
      'sooner when its pods are refused and none serves',
      { workload: rolling({ refused, available: 0 }), pods: [], nowMs: SWAPPED_AT_MS + 12_000 },
      /exceeded quota/,
    ],
    [
      'when a node has long been without a pod of a DaemonSet and none was ever created',
      {
        workload: daemonSet({ current: 2, available: 2 }),
        pods: [oldPod],
        missingSinceMs: SWAPPED_AT_MS + 5_000,
      },
      /cannot be created: the events of the DaemonSet say why/,
    ],
    [
      'also when its pods are refused at the end of the first hour',
      { workload: rolling({ refused }), pods: [], nowMs: SWAPPED_AT_MS + HOUR_MS - 1 },
      /exceeded quota/,
    ],
    [
      'also later, where pods are replaced when somebody deletes them',
      {
        workload: daemonSet({ current: 2, available: 2, onDelete: true }),
        pods: [oldPod],
        nowMs: SWAPPED_AT_MS + 2 * HOUR_MS,
        missingSinceMs: SWAPPED_AT_MS + HOUR_MS,
      },
      /cannot be created: the events of the DaemonSet say why/,
    ],
  ])('%s', (_, facts, told) => {
    const undo = planUndo(someFacts(facts));
    expect(undo?.event.note).toMatch(told);
    expect(undo?.patch.slots).toMatchObject([{ image: 'nginx:1.27' }]);
  });

  it.each<[string, Partial<SwapFacts>]>([
    ['refused later, because it grows', { workload: rolling({ refused }), nowMs: SWAPPED_AT_MS + HOUR_MS }],
    ['refused for a moment', { workload: rolling({ refused }), nowMs: SWAPPED_AT_MS + 30_000 }],
    [
      'refused for a moment with none that serves',
      { workload: rolling({ refused, available: 0 }), nowMs: SWAPPED_AT_MS + 10_000 },
    ],
    [
      'missing on a node, but created on another one',
      {
        workload: daemonSet({ current: 2 }),
        pods: [aStuckPod('x')],
        missingSinceMs: SWAPPED_AT_MS,
      },
    ],
    [
      'missing for a moment, because somebody has deleted one',
      {
        workload: daemonSet({ current: 2, onDelete: true }),
        pods: [oldPod],
        nowMs: SWAPPED_AT_MS + HOUR_MS,
        missingSinceMs: SWAPPED_AT_MS + HOUR_MS - 30_000,
      },
    ],
    [
      'missing of a workload that would say why',
      {
        workload: { ...daemonSet({ current: 2 }), kind: 'Deployment' },
        pods: [oldPod],
        missingSinceMs: SWAPPED_AT_MS,
      },
    ],
  ])('but not when its pods are %s', (_, facts) => {
    const pods = facts.pods ?? [];
    expect(planUndo(someFacts({ ...facts, pods }))).toBeUndefined();
  });
});

it.each<[string, Partial<SwapFacts>]>([
  ['a pod that waits for something else', { pods: [aStuckPod('CrashLoopBackOff')] }],
  ['a pod that waits for another image', { pods: [aStuckPod('ErrImagePull', 'nginx:1.27')] }],
  ['a workload that is rolled out', { workload: rolling({ current: 2, updated: 2 }) }],
  [
    'a workload that was swapped long ago, and has tried its copies',
    { workload: rolling({ updated: 3, available: 2 }), nowMs: SWAPPED_AT_MS + 2 * HOUR_MS },
  ],
  ['a slot that holds another image by now', { workload: { ...rolling(), slots: [aSlot('nginx:1.28')] } }],
  ['a swap without a stuck pod', { pods: [] }],
  ['a record that does not say what was there before', { record: { ...RECORD, before: new Map() } }],
  [
    'a record whose image from before is none',
    { record: { ...RECORD, before: new Map([['app', '--help']]) } },
  ],
])('leaves %s alone', (_, facts) => {
  expect(planUndo(someFacts(facts))).toBeUndefined();
});

/** Every pod has got the copy, and some serve. */
const TRIED = rolling({ updated: 3, available: 1 });

it.each([
  ['for less than an hour', TRIED, HOUR_MS - 1, true],
  ['for an hour and no longer', TRIED, HOUR_MS, false],
  ['for a day while not every pod has got the copy', rolling(), 24 * HOUR_MS - 1, true],
  ['for a day and no longer', rolling(), 24 * HOUR_MS, false],
  ['for a day when no pod serves any more', rolling({ updated: 3, available: 0 }), 24 * HOUR_MS - 1, true],
  ['only while a slot holds the copy', { ...rolling(), slots: [aSlot('nginx:1.28')] }, 1_000, false],
])('a swap is in flight %s', (_, workload, ageMs, expected) => {
  expect(isSwapInFlight(workload, RECORD, SWAPPED_AT_MS + ageMs)).toBe(expected);
});

describe('a hold', () => {
  const hold = { untilMs: SWAPPED_AT_MS, failures: 1, images: new Map([['app', 'nginx:1.27']]) };
  const record = { ...RECORD, hold };

  it('keeps the workload from being swapped until it ends', () => {
    expect(findFailureHoldEndMs(aWorkload(), record, SWAPPED_AT_MS - 1)).toBe(SWAPPED_AT_MS);
    expect(findFailureHoldEndMs(aWorkload(), record, SWAPPED_AT_MS)).toBeUndefined();
  });

  it('does so although other slots have nothing to do with it', () => {
    const workload = aWorkload({ slots: [aSlot('nginx:1.27'), aSlot('envoy:1', { name: 'sidecar' })] });
    expect(findFailureHoldEndMs(workload, record, SWAPPED_AT_MS - 1)).toBe(SWAPPED_AT_MS);
  });

  it('was not written by us, and counts for nothing, when it would last longer than any of ours', () => {
    expect(findFailureHoldEndMs(aWorkload(), record, SWAPPED_AT_MS - 24 * HOUR_MS)).toBe(SWAPPED_AT_MS);
    expect(findFailureHoldEndMs(aWorkload(), record, SWAPPED_AT_MS - 24 * HOUR_MS - 1)).toBeUndefined();
  });

  it('ends with the next deploy', () => {
    const deployed = aWorkload({ slots: [aSlot('nginx:1.28')] });
    expect(findFailureHoldEndMs(deployed, record, SWAPPED_AT_MS - 1)).toBeUndefined();
  });
});
