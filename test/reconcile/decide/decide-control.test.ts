/** What the user allows: MODE, policies, and the state the user has put a workload in. */
import { describe, expect, it } from 'vitest';

import { decide } from '../../../src/reconcile/decide/decide.ts';
import type { WorkloadFacts } from '../../../src/reconcile/decide/decision.ts';
import { type SlotPlan, isCopied } from '../../../src/reconcile/decide/slots/planned-slot.ts';
import { parseRecord } from '../../../src/workloads/record.ts';
import {
  DIGEST,
  OTHER_DIGEST,
  aPodOf,
  aSlot,
  aVerifiedCopy,
  aWorkload,
  annotationsOf,
} from '../../support/builders.ts';
import { byKind, whyWaiting } from '../../support/decisions.ts';
import { factsOf } from '../../support/facts.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const NOW_MS = 1_700_000_000_000;
const SWAPPED = {
  originals: new Map([['app', 'nginx:1.27']]),
  copies: new Map([['app', COPY]]),
  before: new Map([['app', 'nginx:1.27']]),
  swappedAtMs: NOW_MS - 60_000,
};
const swappedAnnotations = annotationsOf(SWAPPED);

interface Parts extends Partial<Omit<WorkloadFacts, 'workload' | 'policy'>> {
  readonly workload?: Parameters<typeof aWorkload>[0];
  readonly namespacePolicy?: string;
}

/** All copies are verified. */
function decideFor({ workload: parts = {}, namespacePolicy, ...facts }: Parts) {
  const copyOf = (plan: SlotPlan) => (isCopied(plan) ? aVerifiedCopy(COPY) : undefined);
  const known = factsOf(aWorkload(parts), { copyOf, namespacePolicy }, facts);
  return { ...decide(known), plans: known.slots.map(({ plan }) => plan) };
}

function withPolicy(policy: string) {
  return { annotations: { 'backup-image-registry/policy': policy } };
}

describe('MODE', () => {
  it('copy swaps nothing', () => {
    expect(decideFor({ mode: 'copy' })).toMatchObject({
      actions: [{ is: 'wait', reason: 'MODE copy' }],
      events: [],
    });
    expect(byKind(decideFor({ mode: 'copy' }))).not.toHaveProperty('swap');
  });

  it('copy still undoes a swap that a node cannot follow', () => {
    const slots = [aSlot(COPY)];
    const workload = aWorkload({ slots, annotations: swappedAnnotations, rollout: { available: 0 } });
    const container = { name: 'app', image: COPY, imageId: '' };
    const waiting = { reason: 'ErrImagePull', message: 'denied' };
    const pods = [aPodOf(workload, DIGEST, { ready: false, containers: [{ ...container, waiting }] })];
    expect(byKind(decideFor({ workload, mode: 'copy', pods })).undo).toBeDefined();
    expect(byKind(decideFor({ workload, mode: 'observe', pods })).undo).toBeUndefined();
    expect(decideFor({ workload, mode: 'restore', pods })).toMatchObject({
      actions: [{ is: 'restore', permit: 'taken' }],
    });
  });

  it('observe does nothing, tells nobody, and has a text for the log', () => {
    const slots = [aSlot('nginx:1.27'), aSlot('--help', { name: 'bad' }), aSlot(COPY, { name: 'done' })];
    const { plans: _, ...decision } = decideFor({ workload: { slots }, mode: 'observe' });
    expect(decision).toEqual({
      events: [],
      actions: [
        {
          is: 'observe',
          would: [
            'copy docker.io/library/nginx:1.27 of app to backup.example/p/docker.io/library/nginx and run it from there',
            expect.stringMatching(/^leave bad alone: image "--help" cannot be used/),
          ],
        },
      ],
    });
  });

  it('observe knows what would only be copied', () => {
    expect(byKind(decideFor({ workload: withPolicy('copy'), mode: 'observe' })).observe?.would).toEqual([
      'copy docker.io/library/nginx:1.27 of app to backup.example/p/docker.io/library/nginx',
    ]);
    expect(byKind(decideFor({ workload: withPolicy('ignore'), mode: 'observe' })).observe?.would).toEqual([]);
  });

  it('restore has nothing to do for a workload that was never swapped', () => {
    const { plans: _, ...decision } = decideFor({ mode: 'restore' });
    expect(decision).toEqual({ actions: [], events: [] });
  });
});

describe('a policy', () => {
  it('copy swaps nothing, and needs no words on a workload that has it in writing', () => {
    const workload = { copyOnly: 'Flux', ...withPolicy('copy') } as const;
    expect(decideFor({ workload })).toMatchObject({
      actions: [{ is: 'wait', reason: 'policy copy' }],
      events: [],
    });
  });

  it('copy leaves a swapped workload as it is, even when its tag has moved', () => {
    const moved = { is: 'moved', copy: { digest: OTHER_DIGEST, image: 'x' } } as const;
    const annotations = { ...swappedAnnotations, ...withPolicy('copy').annotations };
    const workload = { slots: [aSlot(COPY)], annotations };
    const [plan] = decideFor({ workload }).plans;
    const slots = plan
      ? [{ plan, copy: { phase: 'verified', digest: DIGEST, image: COPY, sourceChange: moved } as const }]
      : [];
    const decision = decideFor({ workload, slots, followsTags: true });
    expect(decision).toMatchObject({ actions: [{ is: 'wait', reason: 'policy copy' }] });
    expect(byKind(decision)).not.toHaveProperty('swap');
  });

  it('ignore wants no copy, and says nothing about an image that is none', () => {
    const slots = [aSlot('nginx:1.27'), aSlot('--help', { name: 'bad' })];
    const { plans, events } = decideFor({ workload: { slots, ...withPolicy('ignore') } });
    expect(plans).toMatchObject([{ why: 'ignored' }, { why: 'ignored' }]);
    expect(events).toEqual([]);
  });

  it('ignore leaves a swapped workload as it is, and its copy in the backup is still looked after', () => {
    const annotations = { ...swappedAnnotations, ...withPolicy('ignore').annotations };
    const { plans, ...decision } = decideFor({ workload: { slots: [aSlot(COPY)], annotations } });
    expect(plans).toMatchObject([{ is: 'backed up' }]);
    // Its pods have not been seen to run the copy.
    expect(decision).toEqual({ actions: [], events: [], requeueAfterMs: 30_000 });
  });

  it('of the namespace is told on its workloads', () => {
    const tell = (namespacePolicy: string) => decideFor({ namespacePolicy }).events;
    expect(tell('copy')).toMatchObject([
      { reason: 'Deferred', note: expect.stringMatching(/^Copied, but not swapped: the namespace shop has/) },
    ]);
    expect(tell('ignore')).toMatchObject([
      { reason: 'Deferred', note: expect.stringMatching(/^Neither copied nor swapped: the namespace shop/) },
    ]);
    expect(tell('swap')).toEqual([]);
    expect(tell('never')).toMatchObject([{ reason: 'InvalidAnnotation' }]);
  });

  it('that is none is a warning that says what is allowed', () => {
    expect(decideFor({ workload: withPolicy('never') })).toMatchObject({
      events: [
        { type: 'Warning', reason: 'InvalidAnnotation', note: expect.stringMatching(/swap, copy or ignore/) },
      ],
    });
  });

  it('swap on the workload is stronger than its owner', () => {
    const decision = decideFor({ workload: { owner: 'Canary/web', ...withPolicy('swap') } });
    expect(byKind(decision).swap?.patch.slots).toMatchObject([{ image: COPY }]);
  });
});

it('leaves a slot alone that is named in ignore-containers, and swaps the others', () => {
  const slots = [aSlot('nginx:1.27'), aSlot('envoy:1', { name: 'sidecar' })];
  const annotations = { 'backup-image-registry/ignore-containers': 'sidecar' };
  const { plans, ...decision } = decideFor({ workload: { slots, annotations } });
  const { swap } = byKind(decision);
  expect(swap?.patch.slots).toMatchObject([{ name: 'app' }]);
  expect(plans[1]).toMatchObject({ why: 'ignored' });
});

describe('a workload that is copied, but not swapped, says why', () => {
  it.each([
    ['is owned', { owner: 'Canary/web' }, /Canary\/web owns it .*\/policy: swap/],
    [
      'Flux applies',
      { copyOnly: 'Flux' },
      /label kustomize\.toolkit\.fluxcd\.io\/name.*spec\.ignore.*\/policy: swap/,
    ],
    ['OLM installs', { copyOnly: 'OLM' }, /ClusterServiceVersion/],
    ['has an image trigger', { copyOnly: 'OpenShift trigger' }, /image\.openshift\.io\/triggers/],
    ['Keel updates', { copyOnly: 'Keel' }, /keel\.sh\/policy/],
    ['Argo CD updates', { copyOnly: 'Argo CD Image Updater' }, /argocd-image-updater/],
    ['is an addon', { copyOnly: 'addon manager' }, /addonmanager\.kubernetes\.io\/mode/],
    ['nodes need', { copyOnly: 'node-critical' }, /system-node-critical/],
    ['is paused', { rollout: { paused: true } }, /not swapped while it is paused/],
    [
      'has no pods',
      { rollout: { desired: 0, current: 0, updated: 0, available: 0 } },
      /while it has no pods/,
    ],
  ] as const)('when it %s', (_, workload, note) => {
    const decision = decideFor({ workload });
    expect(decision.events).toMatchObject([
      { type: 'Normal', reason: 'Deferred', action: 'SwapImage', note: expect.stringMatching(note) },
    ]);
    expect(byKind(decision)).not.toHaveProperty('swap');
  });

  it('but not before it is copied', () => {
    const workload = { rollout: { paused: true } };
    const { plans } = decideFor({ workload });
    const slots = plans.map((plan) => ({ plan, copy: { phase: 'pending' } as const }));
    expect(decideFor({ workload, slots })).toMatchObject({
      actions: [{ is: 'wait', reason: 'copying' }],
      events: [],
    });
  });
});

describe('refresh', () => {
  const HELD = {
    ...SWAPPED,
    originals: new Map(),
    copies: new Map(),
    hold: {
      untilMs: NOW_MS + 60_000,
      failures: 1,
      images: new Map([['app', 'nginx:1.27']]),
      refresh: 'monday',
    },
  };

  it.each([
    ['is as it was when the hold began', 'monday', 'held after a swap that failed'],
    ['has another value', 'tuesday', undefined],
    ['is removed', undefined, undefined],
  ])('lifts a hold, unless it %s', (_, refresh, waiting) => {
    const annotations: Record<string, string> = {
      ...annotationsOf(HELD),
      ...(refresh !== undefined && { 'backup-image-registry/refresh': refresh }),
    };
    expect(whyWaiting(decideFor({ workload: { annotations } }))).toBe(waiting);
  });

  it('is remembered when a hold begins', () => {
    const annotations = { ...swappedAnnotations, 'backup-image-registry/refresh': 'x'.repeat(5_000) };
    const workload = aWorkload({ slots: [aSlot(COPY)], annotations, rollout: { available: 0 } });
    const waiting = { reason: 'ErrImagePull', message: 'denied' };
    const containers = [{ name: 'app', image: COPY, imageId: '', waiting }];
    const pods = [aPodOf(workload, DIGEST, { ready: false, containers })];
    const { undo } = byKind(decideFor({ workload, pods }));
    const held = { ...annotations, ...undo?.patch.annotations } as Record<string, string>;
    expect(parseRecord(held).hold?.refresh).toBe('x'.repeat(100));
    expect(whyWaiting(decideFor({ workload: { annotations: held } }))).toBe('held after a swap that failed');
  });
});
