import { expect, it } from 'vitest';

import { planRestore } from '../../../../src/reconcile/decide/originals/restore.ts';
import { parseRecord, type SwapRecord } from '../../../../src/workloads/record.ts';
import type { Slot } from '../../../../src/workloads/workload.ts';
import { DIGEST, aSlot, aWorkload, annotationsOf } from '../../../support/builders.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;

function restore(slots: readonly Slot[], record: Partial<SwapRecord> = {}) {
  const recorded: SwapRecord = {
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', COPY]]),
    before: new Map(),
    swappedAtMs: 1,
    ...record,
  };
  return planRestore(aWorkload({ slots, annotations: annotationsOf(recorded) }), recorded);
}

const NO_ANNOTATIONS = {
  'backup-image-registry/original-images': null,
  'backup-image-registry/status': null,
};

it('puts the original back as the user wrote it, and takes our annotations off', () => {
  expect(restore([aSlot(COPY)])).toEqual({
    slots: [{ place: 'containers', name: 'app', image: 'nginx:1.27' }],
    annotations: NO_ANNOTATIONS,
  });
});

it('leaves alone a slot that somebody has pointed elsewhere, and still takes the annotations off', () => {
  expect(restore([aSlot('nginx:1.28')])).toEqual({ slots: [], annotations: NO_ANNOTATIONS });
});

it('puts the original of an earlier copy back that a rollback to an earlier revision has brought back', () => {
  const earlier = COPY.replace('1.27', '1.26');
  const former = new Map([['app', new Map([[earlier, 'nginx:1.26']])]]);
  expect(restore([aSlot(earlier)], { former })?.slots).toMatchObject([{ name: 'app', image: 'nginx:1.26' }]);
  const afterUndo = { originals: new Map(), copies: new Map(), former };
  expect(restore([aSlot(earlier)], afterUndo)?.slots).toMatchObject([{ name: 'app', image: 'nginx:1.26' }]);
  const forged = new Map([['app', new Map([[earlier, 'evil.example/root:1']])]]);
  expect(restore([aSlot(earlier)], { former: forged })?.slots).toEqual([]);
});

it(
  'believes no recorded original that the copy in the slot is no copy of',
  { tags: 'attack-annotation' },
  () => {
    expect(restore([aSlot(COPY)], { originals: new Map([['app', 'evil.example/root:1']]) })?.slots).toEqual(
      [],
    );
  },
);

it('puts the original back also when nothing but that can still be read, if the slot holds a copy of it', () => {
  const annotations = { 'backup-image-registry/original-images': '{"app":"nginx:1.27","side":"envoy:1"}' };
  const slots = [aSlot(COPY), aSlot('nginx:1.28', { name: 'side' })];
  const workload = aWorkload({ slots, annotations });
  expect(planRestore(workload, parseRecord(annotations))).toEqual({
    slots: [{ place: 'containers', name: 'app', image: 'nginx:1.27' }],
    annotations: { 'backup-image-registry/original-images': null },
  });
});

it('has nothing to do for a workload that has nothing of ours', () => {
  const workload = aWorkload();
  const record = { originals: new Map(), copies: new Map(), before: new Map(), swappedAtMs: 0 };
  expect(planRestore(workload, record)).toBeUndefined();
});
