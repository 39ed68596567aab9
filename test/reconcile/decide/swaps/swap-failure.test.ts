import { describe, expect, it } from 'vitest';

import { type SwapFacts, findSwapFailure } from '../../../../src/reconcile/decide/swaps/swap-failure.ts';
import { parseRecord, type SwapRecord } from '../../../../src/workloads/record.ts';
import type { Pod, PodContainer, Workload } from '../../../../src/workloads/workload.ts';
import {
  DIGEST,
  OTHER_DIGEST,
  aSlot,
  aVerifiedCopy,
  aWorkload,
  annotationsOf,
} from '../../../support/builders.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const MIRRORED = `mirror.corp/backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const SWAPPED_AT_MS = 1_700_000_000_000;
const MINUTE_MS = 60_000;
const TIMEOUT_MS = 10 * MINUTE_MS;
const RECORD: SwapRecord = {
  originals: new Map([['app', 'nginx:1.27']]),
  copies: new Map([['app', COPY]]),
  before: new Map([['app', 'nginx:1.27']]),
  swappedAtMs: SWAPPED_AT_MS,
  hasServed: true,
};
const BACK_OFF = { reason: 'ImagePullBackOff', message: 'Back-off pulling image' };

type Parts = Parameters<typeof aWorkload>[0];

function rolling(parts: Parts = {}): Workload {
  return aWorkload({
    slots: [aSlot(COPY)],
    ...parts,
    rollout: { generation: 2, observedGeneration: 2, current: 3, updated: 1, ...parts?.rollout },
  });
}

function aPod(container: Partial<PodContainer>, parts: Partial<Pod> = {}): Pod {
  return {
    name: 'web-2',
    createdAtMs: SWAPPED_AT_MS,
    ready: false,
    made: { uid: 'uid-pod', by: { uid: 'uid-replicas', name: 'web-new' } },
    template: 'new',
    containers: [{ name: 'app', image: COPY, imageId: '', ...container }],
    ...parts,
  };
}

function failureOf(facts: Partial<SwapFacts>): string | undefined {
  const failure = findSwapFailure({
    workload: rolling(),
    record: RECORD,
    pods: [],
    rolloutTimeoutMs: TIMEOUT_MS,
    nowMs: SWAPPED_AT_MS + MINUTE_MS,
    ...facts,
  });
  return failure && `${failure.what}: ${failure.quote}`;
}

describe('a pod that cannot pull is of the swap', () => {
  const newestTemplates = new Set(['new']);
  const stuck = aPod({ image: MIRRORED, waiting: BACK_OFF });
  const ownedBy = (uid: string) => ({ uid: 'uid-pod', by: { uid, name: 'web' } });

  it.each<[string, Partial<SwapFacts>]>([
    ['whatever admission has made of its image', { pods: [stuck], newestTemplates }],
    [
      'whatever admission has made of its tag',
      { pods: [aPod({ image: COPY.replace(':1.27', ''), waiting: BACK_OFF })], newestTemplates },
    ],
    [
      'when its DaemonSet has made it of the newest template',
      {
        workload: rolling({ kind: 'DaemonSet', newestTemplate: 'new' }),
        pods: [{ ...stuck, templateGeneration: 'new', made: ownedBy('uid-1') }],
      },
    ],
    [
      'when its CronJob was due after the swap',
      {
        workload: rolling({ kind: 'CronJob', rollout: { startedAtMs: SWAPPED_AT_MS } }),
        pods: [
          {
            ...stuck,
            made: { uid: 'x', by: { uid: 'job', name: `web-${Math.ceil(SWAPPED_AT_MS / MINUTE_MS)}` } },
          },
        ],
      },
    ],
  ])('%s', (_, facts) => {
    expect(failureOf(facts)).toBe(
      'a node cannot run the copy of app: ImagePullBackOff: Back-off pulling image',
    );
  });

  it.each<[string, Partial<SwapFacts>]>([
    ['when it is of an earlier template', { pods: [{ ...stuck, template: 'old' }], newestTemplates }],
    ['when nobody has asked of which template it is', { pods: [stuck] }],
    ['when it holds what was there before', { pods: [aPod({ image: 'nginx:1.27', waiting: BACK_OFF })] }],
    [
      'when another workload has made it, which selects the same labels',
      { pods: [aPod({ waiting: BACK_OFF }, { made: ownedBy('uid-2') })] },
    ],
    [
      'when its run was due before the swap',
      {
        workload: rolling({ kind: 'CronJob', rollout: { startedAtMs: SWAPPED_AT_MS } }),
        pods: [{ ...stuck, made: { uid: 'x', by: { uid: 'job', name: 'web-28333332' } } }],
      },
    ],
  ])('but not %s', (_, facts) => {
    expect(failureOf(facts)).toBeUndefined();
  });
});

describe('a pod of the swap that does not become ready', () => {
  const crash = { reason: 'CrashLoopBackOff', message: 'back-off 5m0s restarting failed container' };
  const restarts = 3;
  const late = SWAPPED_AT_MS + TIMEOUT_MS;

  it.each<[string, Partial<Pod>, string]>([
    ['because it crashes', aPod({ waiting: crash, restarts }), 'CrashLoopBackOff: back-off 5m0s restarting'],
    [
      'because it never answers',
      aPod({}, { unready: 'containers with unready status: [app]' }),
      'unready status',
    ],
    [
      'because no node is to its liking',
      aPod({}, { unscheduled: "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity" }),
      'node affinity',
    ],
    ['for a reason that nobody tells', aPod({}), 'its node does not say why'],
  ])('fails the swap after ROLLOUT_TIMEOUT %s', (_, pod, words) => {
    const pods = [pod as Pod];
    expect(failureOf({ pods, nowMs: late })).toContain(
      'the pod web-2 with the copies does not become ready: ',
    );
    expect(failureOf({ pods, nowMs: late })).toContain(words);
    expect(failureOf({ pods, nowMs: late - 1 })).toBeUndefined();
  });

  it('fails it after two minutes when it crashes and no pod serves', () => {
    const facts = {
      workload: rolling({ rollout: { available: 0 } }),
      pods: [aPod({ waiting: crash, restarts })],
    };
    expect(failureOf({ ...facts, nowMs: SWAPPED_AT_MS + 2 * MINUTE_MS })).toContain('CrashLoopBackOff');
    expect(failureOf({ ...facts, nowMs: SWAPPED_AT_MS + 2 * MINUTE_MS - 1 })).toBeUndefined();
    const unready = { ...facts, pods: [aPod({})] };
    expect(failureOf({ ...unready, nowMs: SWAPPED_AT_MS + 2 * MINUTE_MS })).toBeUndefined();
  });

  it('is not failed by one that has crashed twice: something else may have been starting', () => {
    const facts = { workload: rolling({ rollout: { available: 0 } }), nowMs: SWAPPED_AT_MS + 2 * MINUTE_MS };
    expect(failureOf({ ...facts, pods: [aPod({ waiting: crash, restarts: 2 })] })).toBeUndefined();
  });

  it('is failed by one that was available for a moment before it crashed', () => {
    const pods = [aPod({ waiting: crash, restarts })];
    const workload = rolling({ rollout: { completed: true, available: 0 } });
    const nowMs = SWAPPED_AT_MS + 2 * MINUTE_MS;
    expect(failureOf({ workload, pods, nowMs, succeededAtMs: SWAPPED_AT_MS + 1_000 })).toContain('Crash');
  });

  it('counts the time in which a pod that crashes is ready for a moment at each start', () => {
    const pods = [aPod({ waiting: crash, restarts }, { unreadySinceMs: late - 1_000 })];
    expect(failureOf({ pods, nowMs: late })).toContain('CrashLoopBackOff');
  });

  it('has more than an hour where ROLLOUT_TIMEOUT is longer', () => {
    const rolloutTimeoutMs = 120 * MINUTE_MS;
    const workload = rolling({ rollout: { updated: 2, available: 1 } });
    const facts = { workload, rolloutTimeoutMs, pods: [aPod({})] };
    expect(failureOf({ ...facts, nowMs: SWAPPED_AT_MS + 119 * MINUTE_MS })).toBeUndefined();
    expect(failureOf({ ...facts, nowMs: SWAPPED_AT_MS + 120 * MINUTE_MS })).toBeDefined();
  });

  it('fails it however many others are ready, as on a node of another platform', () => {
    const workload = rolling({ rollout: { updated: 2, available: 2, current: 3, desired: 3 } });
    const ready = aPod({}, { name: 'web-1', ready: true });
    expect(failureOf({ workload, pods: [ready, aPod({ waiting: crash, restarts })], nowMs: late })).toContain(
      'Crash',
    );
  });

  it.each<[string, Partial<SwapFacts>]>([
    [
      'there is no room for it',
      { pods: [aPod({}, { unscheduled: '0/1 nodes are available: 1 Insufficient cpu.' })] },
    ],
    [
      'no node takes more pods',
      { pods: [aPod({}, { unscheduled: '0/1 nodes are available: 1 Too many pods.' })] },
    ],
    ['it is on its way out, or has ended', { pods: [aPod({}, { leaving: true })] }],
    ['it was ready until just now', { pods: [aPod({}, { unreadySinceMs: SWAPPED_AT_MS + 1 })] }],
    [
      'it had to wait for a node',
      { pods: [aPod({ waiting: crash, restarts }, { scheduledAtMs: SWAPPED_AT_MS + 1 })] },
    ],
    [
      'all of its pods were ready once, and that is some time ago',
      { workload: rolling({ rollout: { completed: true } }), nowMs: SWAPPED_AT_MS + 3 * TIMEOUT_MS },
    ],
    ['it is younger than that', { pods: [aPod({}, { createdAtMs: SWAPPED_AT_MS + 1 })] }],
    [
      'it has got the copy in place later than that',
      { pods: [aPod({}, { replacedAtMs: SWAPPED_AT_MS + 1 })] },
    ],
    ['the workload did not serve before', { record: { ...RECORD, hasServed: false } }],
    ['the swap was seen to succeed long ago', { succeededAtMs: late - 2 * TIMEOUT_MS }],
    [
      'somebody has changed the template since',
      { workload: rolling({ templateChangedAtMs: SWAPPED_AT_MS + 2 * MINUTE_MS }) },
    ],
    ['it is a day ago', { nowMs: SWAPPED_AT_MS + 24 * 60 * MINUTE_MS }],
    ['nothing of the swap is left', { workload: rolling({ slots: [aSlot('nginx:1.28')] }) }],
  ])('is no failure of the swap when %s', (_, facts) => {
    expect(failureOf({ pods: [aPod({})], nowMs: late, ...facts })).toBeUndefined();
  });

  it('is one when somebody has written the template at about the same time', () => {
    const workload = rolling({ templateChangedAtMs: SWAPPED_AT_MS + 2_000 });
    expect(failureOf({ workload, pods: [aPod({})], nowMs: late })).toBeDefined();
  });
});

it('remembers in the record that the workload has served', () => {
  expect(parseRecord(annotationsOf(RECORD)).hasServed).toBe(true);
  expect(parseRecord(annotationsOf({ ...RECORD, hasServed: false })).hasServed).toBeUndefined();
});

describe('pods that run something else than the copy', () => {
  const workload = aWorkload({ slots: [aSlot(COPY)], rollout: { generation: 2, observedGeneration: 2 } });
  const source = { host: 'docker.io', repository: 'library/nginx', tag: '1.27' };
  const imageId = `mirror.corp/nginx@${OTHER_DIGEST}`;
  const plan = {
    is: 'backed up',
    slot: aSlot(COPY),
    original: 'nginx:1.27',
    request: { source, digest: DIGEST, isProven: false },
    reports: [{ imageId, digest: OTHER_DIGEST, of: 'elsewhere' }],
  } as const;

  it('are a failure of the swap although all are ready', () => {
    const slots = [{ plan, copy: { ...aVerifiedCopy(COPY), unlike: [OTHER_DIGEST] } }];
    expect(failureOf({ workload, slots })).toBe(`its pods do not run the copy in app: ${imageId}`);
    expect(failureOf({ workload, slots, nowMs: SWAPPED_AT_MS + 60 * MINUTE_MS })).toBeUndefined();
  });

  it('are none when a node reports the manifest of its platform', () => {
    expect(failureOf({ workload, slots: [{ plan, copy: aVerifiedCopy(COPY) }] })).toBeUndefined();
  });
});
