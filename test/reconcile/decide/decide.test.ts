import { describe, expect, it } from 'vitest';

import type { CopyState } from '../../../src/reconcile/copies/copy-state.ts';
import { decide } from '../../../src/reconcile/decide/decide.ts';
import { createEvent } from '../../../src/reconcile/events/create-event.ts';
import type { Decision, WorkloadFacts } from '../../../src/reconcile/decide/decision.ts';
import { planRestore } from '../../../src/reconcile/decide/originals/restore.ts';
import { parseRecord, slotKey } from '../../../src/workloads/record.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import {
  DIGEST,
  OTHER_DIGEST,
  aSlot,
  aVerifiedCopy,
  aWorkload,
  annotationsOf,
} from '../../support/builders.ts';
import { byKind, whyWaiting } from '../../support/decisions.ts';
import { factsOf } from '../../support/facts.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const SIDECAR_COPY = `backup.example/p/docker.io/library/envoy:1@${DIGEST}`;
const FAILED: CopyState = {
  phase: 'failed',
  reason: 'NotFound',
  side: 'source',
  message: 'nginx:1.27 does not exist',
  isFinal: true,
  sinceMs: 0,
};

type Copies = Readonly<Record<string, CopyState>>;

/** Facts of a workload whose slots have the given copies, by slot name. */
function someFacts(workload: Workload, copies: Copies, facts: Partial<WorkloadFacts> = {}): WorkloadFacts {
  return factsOf(workload, { copyOf: ({ slot }) => copies[slot.name] }, facts);
}

function imagesAfter(decision: Decision): Readonly<Record<string, string>> {
  return Object.fromEntries(
    (byKind(decision).swap?.patch.slots ?? []).map((slot) => [slotKey(slot), slot.image]),
  );
}

/** The workload as the API server would hand it back after the swap. */
function applySwap(workload: Workload, decision: Decision): Workload {
  const slots = workload.slots.map((slot) => ({
    ...slot,
    image: imagesAfter(decision)[slotKey(slot)] ?? slot.image,
  }));
  const generation = workload.rollout.generation + 1;
  return aWorkload({
    ...workload,
    slots,
    annotations: { ...workload.annotations, ...byKind(decision).swap?.patch.annotations } as Record<
      string,
      string
    >,
    rollout: { ...workload.rollout, generation, observedGeneration: generation },
  });
}

it('swaps a workload whose copy is verified', () => {
  expect(imagesAfter(decide(someFacts(aWorkload(), { app: aVerifiedCopy(COPY) })))).toEqual({ app: COPY });
});

it('has nothing left to do after one swap', () => {
  const workload = aWorkload();
  const swapped = applySwap(workload, decide(someFacts(workload, { app: aVerifiedCopy(COPY) })));
  expect(decide(someFacts(swapped, {}, { succeededAtMs: 0 }))).toEqual({ actions: [], events: [] });
});

it('writes down what the user wrote, and what stood there before', () => {
  const workload = aWorkload({ rollout: { generation: 4, observedGeneration: 4 } });
  const swapped = applySwap(workload, decide(someFacts(workload, { app: aVerifiedCopy(COPY) })));
  expect(parseRecord(swapped.annotations)).toEqual({
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', COPY]]),
    before: new Map([['app', 'nginx:1.27']]),
    swappedAtMs: 1_700_000_000_000,
    uid: 'uid-1',
    hasServed: true,
  });
});

it('moves containers, init containers and image volumes in one patch', () => {
  const workload = aWorkload({
    slots: [
      aSlot('nginx:1.27'),
      aSlot('envoy:1', { place: 'initContainers', name: 'sidecar' }),
      aSlot('models:3', { place: 'volumes', name: 'models' }),
    ],
  });
  const copies = {
    app: aVerifiedCopy(COPY),
    sidecar: aVerifiedCopy(SIDECAR_COPY),
    models: aVerifiedCopy('backup.example/p/docker.io/library/models:3'),
  };
  const decision = decide(someFacts(workload, copies));
  expect(imagesAfter(decision)).toEqual({
    app: COPY,
    sidecar: SIDECAR_COPY,
    'volume:models': 'backup.example/p/docker.io/library/models:3',
  });
});

describe('with two containers', () => {
  const workload = aWorkload({ slots: [aSlot('nginx:1.27'), aSlot('envoy:1', { name: 'sidecar' })] });

  it('waits while one copy is still being made, so that the workload rolls once', () => {
    const decision = decide(someFacts(workload, { app: aVerifiedCopy(COPY), sidecar: { phase: 'pending' } }));
    expect(decision).toEqual({ actions: [{ is: 'wait', reason: 'copying' }], events: [] });
  });

  it('swaps the one that has a copy when the other can have none', () => {
    const decision = decide(someFacts(workload, { app: aVerifiedCopy(COPY), sidecar: FAILED }));
    expect(imagesAfter(decision)).toEqual({ app: COPY });
  });

  it('waits a while for a copy that has failed and may succeed yet', () => {
    const limited = {
      ...FAILED,
      reason: 'RateLimited',
      isFinal: false,
      sinceMs: 1_700_000_000_000 - 60_000,
    } as const;
    const facts = someFacts(workload, { app: aVerifiedCopy(COPY), sidecar: limited });
    expect(decide(facts)).toMatchObject({
      actions: [{ is: 'wait', reason: 'copying' }],
      requeueAfterMs: 14 * 60_000,
    });
    expect(imagesAfter(decide({ ...facts, nowMs: facts.nowMs + 14 * 60_000 }))).toEqual({ app: COPY });
  });

  it('keeps the record of the first when the second follows later', () => {
    const first = applySwap(
      workload,
      decide(someFacts(workload, { app: aVerifiedCopy(COPY), sidecar: FAILED })),
    );
    const second = applySwap(first, decide(someFacts(first, { sidecar: aVerifiedCopy(SIDECAR_COPY) })));
    expect([...parseRecord(second.annotations).originals]).toEqual([
      ['app', 'nginx:1.27'],
      ['sidecar', 'envoy:1'],
    ]);
  });

  it('remembers the copy of an image of before, of a kind that a rollback brings back without annotations', () => {
    const daemonSet = { ...workload, kind: 'DaemonSet' } as const;
    const copies = { app: aVerifiedCopy(COPY), sidecar: FAILED };
    const first = applySwap(daemonSet, decide(someFacts(daemonSet, copies)));
    const deployed = { ...first, slots: [aSlot('nginx:1.28'), aSlot('envoy:1', { name: 'sidecar' })] };
    const facts = someFacts(deployed, { app: FAILED, sidecar: aVerifiedCopy(SIDECAR_COPY) });
    const second = applySwap(deployed, decide(facts));
    const rolledBack = { ...second, slots: first.slots };
    expect(planRestore(rolledBack, parseRecord(rolledBack.annotations))?.slots).toMatchObject([
      { name: 'app', image: 'nginx:1.27' },
    ]);
  });

  it('forgets a slot in which the user has put another image', () => {
    const first = applySwap(
      workload,
      decide(someFacts(workload, { app: aVerifiedCopy(COPY), sidecar: FAILED })),
    );
    const deployed = { ...first, slots: [aSlot('nginx:1.28'), aSlot('envoy:1', { name: 'sidecar' })] };
    const facts = someFacts(deployed, { app: FAILED, sidecar: aVerifiedCopy(SIDECAR_COPY) });
    expect([...parseRecord(applySwap(deployed, decide(facts)).annotations).originals.keys()]).toEqual([
      'sidecar',
    ]);
  });
});

it.each([
  ['is owned by another controller', { owner: 'Canary/web' }, 'owned by another controller'],
  ['is not rolled out', { rollout: { available: 1 } }, 'rolling out'],
  ['has a status older than its template', { rollout: { generation: 2 } }, 'rolling out'],
  ['is paused', { rollout: { paused: true } }, 'paused'],
  ['is scaled to zero', { rollout: { desired: 0, current: 0, updated: 0, available: 0 } }, 'scaled to zero'],
  ['is being deleted', { rollout: { terminating: true } }, 'terminating'],
])('does not touch a workload that %s', (_, parts, waiting) => {
  const decision = decide(someFacts(aWorkload(parts), { app: aVerifiedCopy(COPY) }));
  expect([byKind(decision).swap, whyWaiting(decision)]).toEqual([undefined, waiting]);
});

it('does not touch a workload whose pods run another image than the template names at its source', () => {
  const facts = someFacts(aWorkload(), { app: aVerifiedCopy(COPY) });
  const reports = [{ imageId: `import@${OTHER_DIGEST}`, digest: OTHER_DIGEST, of: 'elsewhere' as const }];
  const copy = { ...aVerifiedCopy(COPY), unlike: [OTHER_DIGEST] };
  const slots = facts.slots.map(({ plan }) => ({ plan: { ...plan, reports }, copy }));
  const decision = decide({ ...facts, slots });
  expect(byKind(decision).swap).toBeUndefined();
  expect(decision.events).toMatchObject([{ reason: 'OtherImageRuns' }]);
});

it('swaps a workload whose pods run the image of the copy, which a node reports under another of its names', () => {
  const facts = someFacts(aWorkload(), { app: aVerifiedCopy(COPY) });
  const reports = [{ imageId: `quay.io/mirror/nginx@${DIGEST}`, digest: DIGEST, of: 'elsewhere' as const }];
  const slots = facts.slots.map(({ plan, copy }) => ({ plan: { ...plan, reports }, copy }));
  const decision = decide({ ...facts, slots });
  expect(byKind(decision).swap?.slots).toHaveLength(1);
  expect(decision.events).not.toMatchObject([{ reason: 'OtherImageRuns' }]);
});

it('waits for its turn while too many workloads roll out', () => {
  const decision = decide(
    someFacts(aWorkload(), { app: aVerifiedCopy(COPY) }, { rolloutWait: 'too many rollouts' }),
  );
  expect(decision).toEqual({
    actions: [{ is: 'wait', reason: 'too many rollouts' }],
    events: [],
    requeueAfterMs: 30_000,
  });
});

it('does not swap while a node could not start a pod from the copy', () => {
  const facts = { uncoveredPlatforms: ['linux/arm64'] };
  const decision = decide(someFacts(aWorkload(), { app: aVerifiedCopy(COPY) }, facts));
  expect(decision).toMatchObject({
    actions: [{ is: 'wait', reason: 'nodes of other platforms' }],
    requeueAfterMs: 30_000,
  });
  expect(byKind(decision).swap).toBeUndefined();
  expect(decision.events).toMatchObject([
    { reason: 'PlatformNotCopied', note: expect.stringContaining('nodes of linux/arm64') },
  ]);
});

it('warns of nodes that cannot start a pod of a workload that was swapped before they came', () => {
  const workload = aWorkload();
  const copies = { app: aVerifiedCopy(COPY) };
  const swapped = applySwap(workload, decide(someFacts(workload, copies)));
  const decision = decide(someFacts(swapped, copies, { uncoveredPlatforms: ['linux/arm64'] }));
  expect(decision.events).toMatchObject([
    { reason: 'PlatformNotCopied', note: expect.stringContaining('may not start') },
  ]);
});

it('leaves a workload alone whose image cannot be copied, and says why', () => {
  const decision = decide(someFacts(aWorkload(), { app: FAILED }));
  expect(imagesAfter(decision)).toEqual({});
  expect(decision.events).toMatchObject([
    { type: 'Warning', reason: 'CopyFailed', note: expect.stringMatching(/does not exist/) },
  ]);
});

it('says once per slot that an image is none', () => {
  const decision = decide(someFacts(aWorkload({ slots: [aSlot('--help')] }), {}));
  expect(decision.events).toMatchObject([{ reason: 'InvalidImage' }]);
});

describe('a workload that runs from the backup', () => {
  const workload = aWorkload();
  const swapped = applySwap(workload, decide(someFacts(workload, { app: aVerifiedCopy(COPY) })));
  const verified = { phase: 'verified', digest: DIGEST, image: COPY } as const;
  const movedCopy = {
    digest: OTHER_DIGEST,
    image: `backup.example/p/docker.io/library/nginx:1.27@${OTHER_DIGEST}`,
  };
  const moved = { ...verified, sourceChange: { is: 'moved', copy: movedCopy } } as const;
  const tell = (copy: CopyState) =>
    decide(someFacts(swapped, { app: copy })).events?.map(({ type, reason }) => `${type} ${reason}`);

  it('has nothing to say while all is well', () => {
    expect(tell({ ...verified, copiedAtMs: 1_600_000_000_000 })).toEqual([]);
  });

  it('says that its copy was gone and is back', () => {
    expect(tell({ ...verified, copiedAtMs: 1_800_000_000_000 })).toEqual(['Warning CopyMissing']);
  });

  it('says that its copy is gone for good', () => {
    expect(tell({ ...FAILED, isMissing: true })).toEqual(['Warning CopyMissing']);
  });

  it('does not say so when the backup was not asked, or does not answer', () => {
    expect(tell(FAILED)).toEqual(['Warning CopyNotChecked']);
  });

  it('says what its source lacks', () => {
    const absent = { platforms: ['linux/amd64'], missing: `${OTHER_DIGEST} (linux/s390x)` };
    expect(tell({ phase: 'verified', digest: DIGEST, image: COPY, absent })).toEqual([
      'Warning CopyIncomplete',
    ]);
  });

  it('has nothing to say while the backup cannot be asked', () => {
    expect(tell({ ...FAILED, reason: 'RegistryUnavailable', side: 'backup', isFinal: false })).toEqual([]);
  });

  it('says that its source is gone', () => {
    expect(tell({ ...verified, sourceChange: { is: 'gone' } })).toEqual(['Normal SourceGone']);
  });

  it('says that its tag has moved, and stays', () => {
    expect(tell(moved)).toEqual(['Normal TagMoved']);
    expect(byKind(decide(someFacts(swapped, { app: moved }))).swap).toBeUndefined();
  });

  it('follows its tag when it is told to, and then stays', () => {
    const decision = decide(someFacts(swapped, { app: moved }, { followsTags: true }));
    expect(imagesAfter(decision)).toEqual({ app: movedCopy.image });
    const followed = applySwap(swapped, decision);
    expect(parseRecord(followed.annotations).originals.get('app')).toBe('nginx:1.27');
    expect(
      decide(
        someFacts(
          followed,
          { app: { phase: 'verified', ...movedCopy } },
          { followsTags: true, succeededAtMs: 0 },
        ),
      ),
    ).toEqual({ actions: [], events: [] });
  });
});

describe('a workload whose original somebody has put back', () => {
  const swapped = applySwap(aWorkload(), decide(someFacts(aWorkload(), { app: aVerifiedCopy(COPY) })));
  const back = (parts: Partial<Workload> = {}): Workload => ({
    ...swapped,
    slots: [aSlot('nginx:1.27')],
    imageOwners: [{ manager: 'acme-operator', isApply: false }],
    ...parts,
  });
  const rolling = { ...swapped.rollout, updated: 0, available: 1 };
  const verified = { app: aVerifiedCopy(COPY) };

  it('is swapped again in the slots of which the record tells what they ran, while no pod does', () => {
    const slots = [aSlot('nginx:1.27'), aSlot('envoy:1', { name: 'side' })];
    const record = {
      ...parseRecord({}),
      originals: new Map([['app', 'nginx:1.27']]),
      copies: new Map([['app', COPY]]),
      swappedAtMs: 1_699_999_990_000,
      uid: 'uid-1',
    };
    const copies = { app: aVerifiedCopy(COPY), side: aVerifiedCopy(SIDECAR_COPY) };
    const decideOn = (available: number) => {
      const workload = aWorkload({ slots, annotations: annotationsOf(record), rollout: { available } });
      return imagesAfter(decide(someFacts(workload, copies)));
    };
    expect(decideOn(0)).toEqual({ app: COPY });
    expect(Object.keys(decideOn(aWorkload().rollout.desired))).toEqual(['app', 'side']);
  });

  it('is swapped again while it rolls out, but not while it is paused, or there is no permit', () => {
    expect(imagesAfter(decide(someFacts(back({ rollout: rolling }), verified)))).toEqual({ app: COPY });
    const paused = back({ rollout: { ...rolling, paused: true } });
    expect(decide(someFacts(paused, verified))).toMatchObject({
      actions: [{ is: 'wait', reason: 'paused' }],
    });
    const full = someFacts(back({ rollout: rolling }), verified, { rolloutWait: 'too many rollouts' });
    expect(decide(full)).toMatchObject({ actions: [{ is: 'wait', reason: 'too many rollouts' }] });
  });

  it('is left to whoever did that without a word when only copies are wanted', () => {
    const byHand = back({ imageOwners: [{ manager: 'kubectl-set', isApply: false }] });
    expect(byKind(decide(someFacts(byHand, verified)))).toHaveProperty('hold');
    const decision = decide(someFacts(byHand, verified, { mode: 'copy' }));
    expect(decision).toEqual({ actions: [{ is: 'wait', reason: 'MODE copy' }], events: [] });
  });

  it('waits for its rollout when the image is a new one', () => {
    const deployed = back({ slots: [aSlot('nginx:1.28')], rollout: rolling });
    expect(decide(someFacts(deployed, verified))).toMatchObject({
      actions: [{ is: 'wait', reason: 'rolling out' }],
    });
  });

  it('is held after too many, and looked at again when the hold ends', () => {
    let workload = back();
    for (let round = 1; round <= 3; round += 1) {
      const facts = someFacts(workload, verified, { nowMs: 1_700_000_000_000 + round });
      workload = back({ annotations: applySwap(workload, decide(facts)).annotations });
    }
    const facts = someFacts(workload, verified, { nowMs: 1_700_000_000_004 });
    const { hold, ...others } = byKind(decide(facts));
    expect([hold?.patch.slots, others]).toEqual([[], {}]);
    const held = back({ annotations: hold?.patch.annotations as Record<string, string> });
    expect(decide(someFacts(held, verified, { nowMs: 1_700_000_000_005 }))).toEqual({
      events: [],
      actions: [{ is: 'wait', reason: 'held after a swap that was reverted' }],
      requeueAfterMs: 86_400_000 - 1,
    });
  });
});

it('writes down from whom a swap takes the image, and gives it back afterwards', () => {
  const helm = aWorkload({ imageOwners: [{ manager: 'helm', isApply: true }] });
  const swapped = applySwap(helm, decide(someFacts(helm, { app: aVerifiedCopy(COPY) })));
  expect(parseRecord(swapped.annotations).appliedBy).toBe('helm');
  const owners = [{ manager: 'backup-image-registry-controller', isApply: false }];
  const after = { ...swapped, imageOwners: owners, ownFieldsAt: 1 };
  expect(decide(someFacts(after, {}))).toMatchObject({ actions: [{ is: 'release images' }] });
});

it('never chooses a copy that is not verified', () => {
  const unverified: readonly (CopyState | undefined)[] = [undefined, { phase: 'pending' }, FAILED];
  for (const copy of unverified) {
    expect(imagesAfter(decide(someFacts(aWorkload(), copy ? { app: copy } : {})))).toEqual({});
  }
});

describe('the pull secret', () => {
  const copies = { app: aVerifiedCopy(COPY) };

  it('is added by the swap, and written down', () => {
    const { swap } = byKind(decide(someFacts(aWorkload(), copies, { pullSecret: 'pull' })));
    expect(swap?.patch.pullSecrets).toEqual({ add: ['pull'], remove: [] });
    expect(parseRecord(swap?.patch.annotations as Record<string, string>).pullSecret).toBe('pull');
  });

  it('that cannot be had holds the swap up, which is said', () => {
    const pullSecretProblem = createEvent('PullSecretMissing', 'There is none.');
    const decision = decide(someFacts(aWorkload(), copies, { pullSecret: 'pull', pullSecretProblem }));
    expect(decision).toMatchObject({
      actions: [{ is: 'wait', reason: 'no pull secret' }],
      events: [pullSecretProblem],
    });
    expect(decision.requeueAfterMs).toBe(30_000);
    expect(byKind(decision)).not.toHaveProperty('swap');
  });

  it('that cannot be had is of no interest to a workload that needs none', () => {
    const pullSecretProblem = createEvent('PullSecretMissing', 'X.');
    expect(decide(someFacts(aWorkload({ slots: [] }), {}, { pullSecretProblem })).events).toEqual([]);
  });
});

it('says when an image that no record explains is lost, and that nobody can make it again', () => {
  const tell = (copy: CopyState | undefined) =>
    decide(someFacts(aWorkload({ slots: [aSlot(COPY)] }), copy ? { app: copy } : {})).events ?? [];
  expect(tell(undefined)).toMatchObject([{ type: 'Normal', reason: 'CopyUnexplained' }]);
  expect(tell(FAILED)).toMatchObject([{ reason: 'CopyUnexplained' }]);
  expect(tell({ ...FAILED, isMissing: true })).toMatchObject([
    { type: 'Warning', reason: 'CopyMissing', note: expect.stringContaining('cannot be made again') },
  ]);
});
