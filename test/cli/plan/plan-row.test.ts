import { describe, expect, it } from 'vitest';

import { toPlanRow } from '../../../src/cli/plan/plan-row.ts';
import type { CopyState } from '../../../src/reconcile/copies/copy-state.ts';
import { decide } from '../../../src/reconcile/decide/decide.ts';
import { type SlotPlan, isCopied } from '../../../src/reconcile/decide/slots/planned-slot.ts';
import type { Settings } from '../../../src/settings/settings.ts';
import type { Pod, Workload } from '../../../src/workloads/workload.ts';
import {
  DIGEST,
  OTHER_DIGEST,
  aPodOf,
  aSlot,
  aVerifiedCopy,
  aWorkload,
  annotationsOf,
} from '../../support/builders.ts';
import { factsOf } from '../../support/facts.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const nowMs = 1_700_000_000_000;
const THERE = aVerifiedCopy(COPY);
const TO_MAKE: CopyState = { ...THERE, phase: 'verified', digest: DIGEST, image: COPY, copiedAtMs: nowMs };
const GONE: CopyState = {
  phase: 'failed',
  reason: 'NotFound',
  side: 'source',
  message: 'docker.io/library/nginx:1.27 does not exist',
  isFinal: true,
  sinceMs: nowMs,
};

/** The row of a workload, all of whose copies are in one state; decided by the rules of the loop. */
function rowOf(
  workload: Workload,
  copy: CopyState | undefined,
  options: {
    pods?: readonly Pod[];
    unfinishedPods?: readonly Pod[];
    uncoveredPlatforms?: readonly string[];
    mode?: Settings['MODE'];
    namespacePolicy?: string;
  } = {},
) {
  const { pods = [], unfinishedPods = [], uncoveredPlatforms = [], mode = 'swap', namespacePolicy } = options;
  const surroundings = {
    copyOf: (plan: SlotPlan) => (isCopied(plan) ? copy : undefined),
    namespacePolicy,
    runningPods: pods,
    unfinishedPods,
    sourceHosts: ['docker.io'],
  };
  const facts = factsOf(workload, surroundings, { mode, uncoveredPlatforms });
  return toPlanRow({ facts, decision: decide(facts) });
}

const SWAPPED = aWorkload({
  slots: [aSlot(COPY)],
  annotations: annotationsOf({
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', COPY]]),
    before: new Map(),
    swappedAtMs: nowMs,
  }),
});

it.each([
  ['a swap to copies that are there', rowOf(aWorkload(), THERE), 'swap', '1 image to run from the backup'],
  [
    'a swap to copies that are made first',
    rowOf(aWorkload(), TO_MAKE),
    'swap',
    '1 image to run from the backup; 1 image to be copied',
  ],
  [
    'a workload that has to roll out first',
    rowOf(aWorkload({ rollout: { available: 1 } }), THERE),
    'wait',
    'rolling out',
  ],
  [
    'a workload that is copied but belongs to somebody else',
    rowOf(aWorkload({ owner: 'Rollout/web' }), TO_MAKE),
    'copy',
    '1 image to be copied; owned by another controller (Rollout/web)',
  ],
  [
    'a workload whose image is gone',
    rowOf(aWorkload(), GONE),
    'wait',
    'no copy; app failed: NotFound: docker.io/library/nginx:1.27 does not exist',
  ],
  [
    'an image that nobody may see yet',
    rowOf(aWorkload(), { phase: 'pending' }),
    'wait',
    'no copy yet; app unproven: not public, and no ready pod shows yet that this workload may read it',
  ],
  [
    'an image text that is none',
    rowOf(aWorkload({ slots: [aSlot('-h')] }), THERE),
    'none',
    expect.stringMatching(/^app refused: InvalidImage: /),
  ],
  [
    'an image of a host that may not be copied from',
    rowOf(aWorkload({ slots: [aSlot('quay.io/a/b')] }), THERE),
    'none',
    expect.stringMatching(/^app refused: SourceNotAllowed: .*SOURCE_HOSTS/),
  ],
  [
    'an image that is never pulled',
    rowOf(aWorkload({ slots: [aSlot('nginx', { pullPolicy: 'Never' })] }), THERE),
    'none',
    'never pulled',
  ],
  ['a workload that runs from the backup', rowOf(SWAPPED, THERE), 'none', '1 image from the backup'],
  [
    'a workload of a namespace that is only copied',
    rowOf(aWorkload(), TO_MAKE, { namespacePolicy: 'copy' }),
    'copy',
    '1 image to be copied; policy copy (of the namespace)',
  ],
  [
    'a workload that somebody else applies',
    rowOf(aWorkload({ copyOnly: 'Flux' }), THERE),
    'wait',
    'left to its manager (Flux)',
  ],
  ['a workload that is ignored', rowOf(aWorkload(), THERE, { namespacePolicy: 'ignore' }), 'none', 'ignored'],
  [
    'an annotation that cannot be read',
    rowOf(aWorkload(), THERE, { namespacePolicy: 'Swop' }),
    'none',
    expect.stringMatching(/^ignored; The annotation backup-image-registry\/policy .*"Swop"/),
  ],
  ['MODE=copy', rowOf(aWorkload(), TO_MAKE, { mode: 'copy' }), 'copy', '1 image to be copied; MODE copy'],
  [
    'MODE=observe',
    rowOf(aWorkload(), undefined, { mode: 'observe' }),
    'none',
    expect.stringMatching(/^MODE observe, otherwise: copy docker\.io\/library\/nginx:1\.27 of app to /),
  ],
  [
    'MODE=restore',
    rowOf(SWAPPED, undefined, { mode: 'restore' }),
    'restore',
    '1 image back to what the user wrote',
  ],
  [
    'a workload that MODE=restore has nothing to do with',
    rowOf(aWorkload(), undefined, { mode: 'restore' }),
    'none',
    'MODE restore, and it has nothing of ours',
  ],
  [
    'nodes that no copy is for',
    rowOf(aWorkload(), THERE, { uncoveredPlatforms: ['linux/s390x'] }),
    'wait',
    'nodes of other platforms; PLATFORMS leaves out nodes of linux/s390x',
  ],
  ['a copy in use that was deleted', rowOf(SWAPPED, TO_MAKE), 'copy', '1 image to be copied'],
])('tells of %s', (_, row, action, why) => {
  expect({ action: row.action, why: row.why }).toEqual({ action, why });
});

it('tells of pods that run something else than the registry has', () => {
  const web = aWorkload();
  const pod = aPodOf(web, DIGEST, {
    containers: [{ name: 'app', image: 'nginx:1.27', imageId: `localhost/loaded@${OTHER_DIGEST}` }],
  });
  expect(rowOf(web, { ...aVerifiedCopy(COPY), unlike: [OTHER_DIGEST] }, { pods: [pod] })).toMatchObject({
    action: 'wait',
    why: expect.stringMatching(/^no copy; app copied: ready pods run "localhost\/loaded@sha256:/),
  });
});

it('tells of a swap to the rescue', () => {
  const web = aWorkload({ rollout: { available: 0 } });
  const waiting = { reason: 'ImagePullBackOff', message: 'manifest unknown' };
  const stuck = aPodOf(web, DIGEST, {
    ready: false,
    containers: [{ name: 'app', image: 'nginx:1.27', imageId: '', waiting }],
  });
  const known: CopyState = { phase: 'verified', digest: DIGEST, image: COPY, isPublic: true };
  expect(rowOf(web, known, { unfinishedPods: [stuck] })).toMatchObject({
    action: 'swap',
    why: '1 image to run from the backup; at once, because the original cannot be pulled',
  });
  expect(rowOf(web, THERE, { unfinishedPods: [stuck] })).toMatchObject({
    action: 'wait',
    why: expect.stringMatching(/^no copy; The original of app cannot be pulled .*not known to be public/),
  });
});

it('has every slot with its source and its copy, for programs', () => {
  expect(rowOf(aWorkload(), TO_MAKE)).toEqual({
    kind: 'Deployment',
    namespace: 'shop',
    name: 'web',
    action: 'swap',
    why: '1 image to run from the backup; 1 image to be copied',
    slots: [
      {
        slot: 'app',
        image: 'nginx:1.27',
        state: 'to be copied',
        source: 'docker.io/library/nginx:1.27',
        copy: COPY,
      },
    ],
  });
});

describe('a workload whose originals somebody has put back', () => {
  const reverts = { count: 3, sinceMs: nowMs - 600_000, ofMs: 0, holds: 0 };
  const RECORD = {
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', COPY]]),
    before: new Map([['app', 'nginx:1.27']]),
    swappedAtMs: nowMs - 60_000,
    uid: 'uid-1',
    reverts,
  };
  const imageOwners = [{ manager: 'acme-operator', isApply: false }];
  const untilMs = nowMs + 3_600_000;
  const held = aWorkload({
    annotations: annotationsOf({ ...RECORD, reverts: { ...reverts, untilMs, ofMs: RECORD.swappedAtMs } }),
    imageOwners,
  });
  const HOLD =
    `held after a swap that was reverted (by "acme-operator"), until ${new Date(untilMs).toISOString()} ` +
    'or until the annotation backup-image-registry/refresh has another value';

  it('is about to be held', () => {
    expect(rowOf(aWorkload({ annotations: annotationsOf(RECORD), imageOwners }), THERE)).toMatchObject({
      action: 'hold',
      why: expect.stringContaining('acme-operator'),
    });
  });

  it('is held, by whose doing, until when, and what ends that earlier', () => {
    expect(rowOf(held, THERE)).toMatchObject({ action: 'hold', why: HOLD });
  });

  it('is held also while there is another reason to wait', () => {
    expect(rowOf(held, { phase: 'pending' })).toMatchObject({
      action: 'wait',
      why: expect.stringContaining(HOLD),
    });
  });

  it('is said to be held by MODE=observe as well', () => {
    const { why } = rowOf(held, undefined, { mode: 'observe' });
    expect(why).toMatch(
      /^MODE observe, otherwise: copy .*, and run it from there after .* because a swap did not last$/,
    );
  });
});

it('tells of pods that get the images of the template, beside what is done for the template', () => {
  const db = aWorkload({
    kind: 'StatefulSet',
    rollout: { available: 0 },
    annotations: annotationsOf({
      originals: new Map(),
      copies: new Map(),
      before: new Map(),
      swappedAtMs: nowMs - 60_000,
    }),
  });
  const waiting = { reason: 'ImagePullBackOff', message: '401' };
  const stuck = aPodOf(db, DIGEST, {
    name: 'db-0',
    ready: false,
    containers: [{ name: 'app', image: COPY, imageId: '', waiting }],
  });
  expect(rowOf(db, THERE, { unfinishedPods: [stuck] })).toMatchObject({
    action: 'free pods',
    why: 'db-0 gets the images of the template; rolling out',
  });
});
