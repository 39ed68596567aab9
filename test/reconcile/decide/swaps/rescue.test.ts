import { describe, expect, it } from 'vitest';

import { parsePrefix } from '../../../../src/images/copy-name.ts';
import { copyKey } from '../../../../src/reconcile/copies/copy-store.ts';
import type { CopyState, VerifiedCopy } from '../../../../src/reconcile/copies/copy-state.ts';
import { decide } from '../../../../src/reconcile/decide/decide.ts';
import type { Decision, WorkloadFacts } from '../../../../src/reconcile/decide/decision.ts';
import { findPolicy } from '../../../../src/reconcile/decide/policy.ts';
import {
  findRescue,
  listRunningDigests,
  planRescueEvents,
  planRescuedEvent,
} from '../../../../src/reconcile/decide/swaps/rescue.ts';
import { isCopied } from '../../../../src/reconcile/decide/slots/planned-slot.ts';
import { planSlots } from '../../../../src/reconcile/decide/slots/slot-plan.ts';
import { parseRecord } from '../../../../src/workloads/record.ts';
import type { Pod, Workload } from '../../../../src/workloads/workload.ts';
import { DIGEST, OTHER_DIGEST, aPodOf, aSlot, aWorkload, annotationsOf } from '../../../support/builders.ts';
import { byKind } from '../../../support/decisions.ts';
import { factsOf } from '../../../support/facts.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const NOW_MS = 1_700_000_000_000;
const VERIFIED: VerifiedCopy = { phase: 'verified', digest: DIGEST, image: COPY, isPublic: true };
const NO_SWAP = { originals: new Map(), copies: new Map(), before: new Map(), swappedAtMs: 0 };
const STUCK = aWorkload({ rollout: { available: 1 } });

function aStuckPod(workload: Workload, reason = 'ImagePullBackOff'): Pod {
  const waiting = { reason, message: 'Back-off pulling image "nginx:1.27": manifest unknown' };
  const containers = workload.slots.map(({ name, image }) => ({ name, image, imageId: '', waiting }));
  return { ...aPodOf(workload, ''), ready: false, containers };
}

const DESTINATION = { prefix: parsePrefix('backup.example/p'), naming: 'nested' } as const;

function plan(workload: Workload, pods: readonly Pod[]) {
  return planSlots({
    workload,
    record: parseRecord(workload.annotations),
    policy: findPolicy(workload, undefined),
    pods: [],
    unfinishedPods: pods,
    ...DESTINATION,
    sourceHosts: ['*'],
  });
}

function decideOn(
  workload: Workload,
  facts: Partial<WorkloadFacts> = {},
  copy: VerifiedCopy = VERIFIED,
): Decision {
  const unfinishedPods = facts.pods ?? [aStuckPod(workload)];
  return decide(factsOf(workload, { copyOf: () => copy, unfinishedPods }, facts));
}

describe('a workload whose original cannot be pulled', () => {
  it.each<[string, Workload, Partial<WorkloadFacts>]>([
    ['although it is not ready', STUCK, {}],
    ['although its status is old', aWorkload({ rollout: { generation: 2, available: 1 } }), {}],
    ['although no permit is free', STUCK, { rolloutWait: 'too many rollouts' }],
    ['although swapping is stopped', STUCK, { rolloutWait: 'swapping stopped' }],
    ['although none in its namespace has tried', STUCK, { rolloutWait: 'first swap of the namespace' }],
  ])('is rescued %s', (_, workload, facts) => {
    expect(byKind(decideOn(workload, facts)).swap).toMatchObject({
      isRescue: true,
      patch: { slots: [{ name: 'app', image: COPY }] },
    });
  });

  const hold = { untilMs: NOW_MS + 1, failures: 1, images: new Map([['app', 'nginx:1.27']]) };

  it.each<[string, Workload, Partial<WorkloadFacts>]>([
    ['owned by another controller', { ...STUCK, owner: 'Canary/web' }, {}],
    [
      'held because its copy could not be run',
      { ...STUCK, annotations: annotationsOf({ ...NO_SWAP, hold }) },
      {},
    ],
    ['one whose swap the API server refuses', STUCK, { deniedUntilMs: NOW_MS + 1 }],
    ['only to be copied', STUCK, { mode: 'copy' }],
    [
      'only to be copied by its annotation',
      { ...STUCK, annotations: { 'backup-image-registry/policy': 'copy' } },
      {},
    ],
    ['ignored', { ...STUCK, annotations: { 'backup-image-registry/policy': 'ignore' } }, {}],
    ['on nodes for which nothing is copied', STUCK, { uncoveredPlatforms: ['linux/arm64'] }],
    ['paused', aWorkload({ rollout: { available: 1, paused: true } }), {}],
    ['being deleted', aWorkload({ rollout: { available: 1, terminating: true } }), {}],
    ['one that waits for something else', STUCK, { pods: [aStuckPod(STUCK, 'CrashLoopBackOff')] }],
    [
      'one whose pods of another image are stuck',
      STUCK,
      { pods: [aStuckPod(aWorkload({ slots: [aSlot('b')] }))] },
    ],
  ])('is not rescued when it is %s', (_, workload, facts) => {
    expect(byKind(decideOn(workload, facts)).swap).toBeUndefined();
  });

  it('whose images are gone waits for the copies of all of them, and gets them in one patch', () => {
    const workload = aWorkload({
      ...STUCK,
      slots: [aSlot('nginx:1.27'), aSlot('redis:7', { name: 'side' })],
    });
    const unfinishedPods = [aStuckPod(workload)];
    const redis = { ...VERIFIED, image: COPY.replace('nginx:1.27', 'redis:7') };
    const decideWith = (ofRedis: CopyState): Decision => {
      const copyOf = (_: unknown, index: number): CopyState => (index === 1 ? ofRedis : VERIFIED);
      return decide(factsOf(workload, { copyOf, unfinishedPods }));
    };
    expect(byKind(decideWith({ phase: 'pending' }))).toMatchObject({ wait: { reason: 'copying' } });
    expect(byKind(decideWith(redis)).swap?.patch.slots).toHaveLength(2);
    const failed: CopyState = {
      phase: 'failed',
      reason: 'NotFound',
      side: 'source',
      message: 'gone',
      isFinal: true,
      sinceMs: NOW_MS,
    };
    expect(byKind(decideWith(failed)).swap?.patch.slots).toHaveLength(1);
  });

  it('is rescued although it is held because its pods did not become ready: nodes could pull the copy', () => {
    const pullable = { ...hold, isPullable: true };
    const held = { ...STUCK, annotations: annotationsOf({ ...NO_SWAP, hold: pullable }) };
    expect(byKind(decideOn(held)).swap).toMatchObject({ isRescue: true });
    expect(parseRecord(held.annotations).hold?.isPullable).toBe(true);
  });

  it('is not rescued, and that is told, when ready pods of it run another image', () => {
    const other = aPodOf(STUCK, OTHER_DIGEST);
    const copy = { ...VERIFIED, unlike: [OTHER_DIGEST] };
    const decision = decideOn(STUCK, { pods: [aStuckPod(STUCK), other] }, copy);
    expect(byKind(decision).swap).toBeUndefined();
    expect(decision.events).toMatchObject([{ reason: 'OtherImageRuns' }]);
  });

  it('is none when that is a copy in the backup before, which a swap has just put there: the swap is undone', () => {
    const former = COPY.replace('backup.example/p', 'old.example/q');
    const record = {
      ...NO_SWAP,
      originals: new Map([['app', 'nginx:1.27']]),
      copies: new Map([['app', former]]),
      before: new Map([['app', 'nginx:1.27']]),
      swappedAtMs: NOW_MS - 60_000,
    };
    const swapped = aWorkload({ ...STUCK, slots: [aSlot(former)], annotations: annotationsOf(record) });
    const pods = [{ ...aStuckPod(swapped), createdAtMs: NOW_MS - 30_000 }];
    expect(byKind(decideOn(swapped, { pods }))).not.toHaveProperty('swap');
    expect(byKind(decideOn(swapped, { pods, nowMs: NOW_MS + 60_000 }))).toHaveProperty('undo');
    const long = annotationsOf({ ...record, swappedAtMs: NOW_MS - 48 * 3_600_000 });
    expect(byKind(decideOn({ ...swapped, annotations: long }, { pods })).swap).toMatchObject({
      isRescue: true,
    });
  });

  it('is not said to have served with it, although somebody has just put it back: an undo would help nobody', () => {
    const record = {
      ...NO_SWAP,
      originals: new Map([['app', 'nginx:1.27']]),
      copies: new Map([['app', COPY]]),
      before: new Map([['app', 'nginx:1.27']]),
      swappedAtMs: NOW_MS - 60_000,
      uid: STUCK.uid,
    };
    const putBack = { ...STUCK, annotations: annotationsOf(record) };
    const readServed = (decision: Decision) =>
      parseRecord(byKind(decision).swap?.patch.annotations as Record<string, string>).hasServed;
    expect(readServed(decideOn(putBack))).toBeUndefined();
    const running = [{ ...aPodOf(putBack, DIGEST), ready: true }];
    expect(readServed(decideOn(putBack, { pods: running }))).toBe(true);
  });

  it('is rescued, too, when admission has dropped the tag beside its digest, and not when it has written another', () => {
    const pinned = aWorkload({ slots: [aSlot(`nginx:1.27@${DIGEST}`)], rollout: { available: 1 } });
    const rewrite = (image: string): readonly Pod[] => {
      const pod = aStuckPod(pinned);
      return [{ ...pod, containers: pod.containers.map((one) => ({ ...one, image })) }];
    };
    expect(byKind(decideOn(pinned, { pods: rewrite(`nginx@${DIGEST}`) })).swap).toMatchObject({
      isRescue: true,
    });
    expect(byKind(decideOn(pinned, { pods: rewrite(`nginx@${OTHER_DIGEST}`) }))).not.toHaveProperty('swap');
    expect(byKind(decideOn(pinned, { pods: rewrite(`mirror.example/nginx@${DIGEST}`) }))).not.toHaveProperty(
      'swap',
    );
  });

  it('is rescued in the slots that need it only: of the others nothing proves who may read them', () => {
    const workload = { ...STUCK, slots: [aSlot('nginx:1.27'), aSlot('nginx:1.27', { name: 'other' })] };
    const [app] = aStuckPod(workload).containers;
    const pods = [{ ...aStuckPod(workload), containers: app ? [app] : [] }];
    expect(byKind(decideOn(workload, { pods })).swap?.patch.slots.map(({ name }) => name)).toEqual(['app']);
  });

  it('is rescued when the image is that of a volume, which the container that mounts it shows', () => {
    const volume = aSlot('nginx:1.27', { place: 'volumes', name: 'models' });
    const pods = [aStuckPod(aWorkload({ slots: [aSlot('app:1')] }))];
    const workload = { ...STUCK, slots: [aSlot('app:2'), volume] };
    expect(byKind(decideOn(workload, { pods })).swap?.patch.slots).toEqual([
      { place: 'volumes', name: 'models', image: COPY },
    ]);
  });
});

describe('an image that is not known to be public', () => {
  const secret = { ...VERIFIED, isPublic: false };

  it('rescues nobody who has not shown that they may read it, and tells what they can do', () => {
    const decision = decideOn(STUCK, {}, secret);
    expect(byKind(decision).swap).toBeUndefined();
    expect(decision.events).toMatchObject([
      { reason: 'NotRescued', note: expect.stringMatching(/not known to be public.*write backup\.example/) },
    ]);
  });

  it('rescues a workload of which a ready pod runs it', () => {
    const pods = [aStuckPod(STUCK), aPodOf(aWorkload({ slots: [aSlot(COPY)] }), DIGEST)];
    expect(byKind(decideOn(STUCK, { pods }, secret)).swap).toMatchObject({ isRescue: true });
  });

  it.each<[string, Pod]>([
    ['runs another one', aPodOf(STUCK, OTHER_DIGEST)],
    ['is not ready', aPodOf(STUCK, DIGEST, { ready: false })],
  ])('rescues no workload of which a pod %s', (_, pod) => {
    expect(byKind(decideOn(STUCK, { pods: [aStuckPod(STUCK), pod] }, secret)).swap).toBeUndefined();
  });
});

describe('a rescue', () => {
  it('has to wait for a copy of which nothing is known yet', () => {
    const pods = [aStuckPod(STUCK)];
    const [one] = plan(STUCK, pods);
    const facts = one && { plan: one, copy: undefined, running: listRunningDigests(pods) };
    expect(facts && [findRescue(facts), planRescueEvents(facts)]).toEqual([undefined, []]);
  });

  it('is told with the words of the kubelet, cut, about the slots that needed it', () => {
    const waiting = { reason: 'ErrImagePull', message: 'x'.repeat(1_000) };
    const containers = STUCK.slots.map(({ name, image }) => ({ name, image, imageId: '', waiting }));
    const plans = [
      ...plan(STUCK, [{ ...aStuckPod(STUCK), containers }]),
      ...plan(aWorkload({ slots: [aSlot('envoy:1', { name: 'sidecar' })] }), []),
    ];
    const { note } = planRescuedEvent(plans.filter(isCopied), ['app from there']);
    expect(note).toMatch(/^The original of app cannot be pulled \(ErrImagePull: x{600}\)\. Runs from/);
    expect(note).not.toMatch('sidecar');
  });
});

describe('what is asked of the backup for a rescue', () => {
  const request = (pods: readonly Pod[], workload = STUCK) => {
    const [one] = plan(workload, pods);
    return one && isCopied(one) ? one.request : undefined;
  };

  it('is what other pods run, if there are any that got it', () => {
    expect(request([aStuckPod(STUCK), aPodOf(STUCK, DIGEST)])).toMatchObject({
      reported: [DIGEST],
      isRescue: true,
    });
  });

  it('is what the tag means when no pod got it, and apart from what the source is asked for', () => {
    const rescue = request([aStuckPod(STUCK)]);
    expect(rescue).not.toHaveProperty('digest');
    expect(rescue && copyKey(rescue)).toBe('docker.io/library/nginx:1.27 to the rescue');
  });

  it('is what the user has pinned, which other pods prove only if they run just that', () => {
    const pinned = aWorkload({ slots: [aSlot(`nginx@${DIGEST}`)], rollout: { available: 1 } });
    const other = aPodOf(pinned, OTHER_DIGEST);
    expect(request([aStuckPod(pinned), other], pinned)).toMatchObject({ isProven: false });
    expect(request([aStuckPod(pinned), aPodOf(pinned, DIGEST)], pinned)).toMatchObject({ isProven: true });
  });
});

it('looks at the pods of a workload again that is not rolled out, for they may get stuck without a word', () => {
  expect(decideOn(STUCK, { pods: [], slots: [] })).not.toHaveProperty('requeueAfterMs');
  expect(decideOn(STUCK, { pods: [] })).toMatchObject({
    actions: [{ is: 'wait', reason: 'rolling out' }],
    requeueAfterMs: 30_000,
  });
  const failed = {
    phase: 'failed',
    reason: 'NotFound',
    side: 'source',
    message: 'x',
    isFinal: true,
    sinceMs: 0,
  } as const;
  const slots = plan(STUCK, []).map((one) => ({ plan: one, copy: failed }));
  expect(decideOn(STUCK, { pods: [], slots })).toMatchObject({
    actions: [{ is: 'wait', reason: 'no copy' }],
    requeueAfterMs: 30_000,
  });
});

it('looks again soon while it has pods that the watch does not show', () => {
  expect(decideOn(STUCK, { pods: [], hasUnseenPods: true })).toMatchObject({ requeueAfterMs: 10_000 });
  expect(decideOn(STUCK, { pods: [], hasUnseenPods: true, requeueIntervalMs: 5_000 })).toMatchObject({
    requeueAfterMs: 5_000,
  });
});
