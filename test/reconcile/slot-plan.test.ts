import { describe, expect, it } from 'vitest';

import { parsePrefix } from '../../src/images/copy-name.ts';
import { formatReference } from '../../src/images/reference.ts';
import { type SlotPlan, planSlots } from '../../src/reconcile/slot-plan.ts';
import type { SwapRecord } from '../../src/workloads/record.ts';
import type { Pod, Slot } from '../../src/workloads/workload.ts';
import { DIGEST, OTHER_DIGEST, aPodOf, aSlot, aWorkload } from '../support/builders.ts';

const PREFIX = parsePrefix('backup.example/p');
const NO_RECORD: SwapRecord = { originals: new Map(), copies: new Map(), generation: 0, swappedAtMs: 0 };

function plan(slot: Slot, facts: { record?: SwapRecord; pods?: readonly Pod[] } = {}): SlotPlan | undefined {
  const workload = aWorkload({ slots: [slot] });
  return planSlots({
    workload,
    record: facts.record ?? NO_RECORD,
    pods: facts.pods ?? [],
    prefix: PREFIX,
  })[0];
}

function sourceOf(plan_: SlotPlan | undefined): string {
  return plan_?.is === 'to be backed up' ? formatReference(plan_.request.source) : String(plan_?.is);
}

function runningDigestOf(slot: Slot, pods: readonly Pod[]): string | undefined {
  const result = plan(slot, { pods });
  return result?.is === 'to be backed up' ? result.request.runningDigest : undefined;
}

it('wants a copy of what the user wrote', () => {
  expect(sourceOf(plan(aSlot('nginx')))).toBe('docker.io/library/nginx:latest');
});

it('leaves what runs from the backup alone', () => {
  expect(plan(aSlot('backup.example/p/docker.io/library/nginx:1.27'))).toMatchObject({ why: 'is a copy' });
});

it('does not take a neighbour of the prefix for a copy', () => {
  expect(sourceOf(plan(aSlot('backup.example/p-evil/x:1')))).toBe('backup.example/p-evil/x:1');
});

it('leaves an image alone that the node never pulls', () => {
  expect(plan(aSlot('nginx', { pullPolicy: 'Never' }))).toMatchObject({ why: 'never pulled' });
});

it.each(['--config=/etc/evil', '-h', ' nginx', 'a\nb', 'dir:/etc', '$(id)', 'x'.repeat(5000)])(
  'refuses %j as an image',
  (image) => {
    expect(plan(aSlot(image))?.is).toBe('invalid');
  },
);

describe('which digest runs', () => {
  const slot = aSlot('nginx:1.27');
  const workload = aWorkload({ slots: [slot] });

  it('is what a ready pod says', () => {
    expect(runningDigestOf(slot, [aPodOf(workload, DIGEST)])).toBe(DIGEST);
  });

  it('is unknown while no pod is ready', () => {
    expect(runningDigestOf(slot, [aPodOf(workload, DIGEST, { ready: false })])).toBeUndefined();
  });

  it('is what most pods run when a tag has moved between their starts', () => {
    const pods = [aPodOf(workload, OTHER_DIGEST), aPodOf(workload, DIGEST), aPodOf(workload, DIGEST)];
    expect(runningDigestOf(slot, pods)).toBe(DIGEST);
  });

  it.each([
    ['of another repository', `quay.io/other/nginx@${DIGEST}`],
    ['of an image that was loaded, not pulled', DIGEST],
    ['that is empty', ''],
  ])('is not taken from an imageID %s', (_, imageId) => {
    const containers = [{ name: 'app', image: 'nginx:1.27', imageId }];
    expect(runningDigestOf(slot, [aPodOf(workload, DIGEST, { containers })])).toBeUndefined();
  });

  it('is not taken from a pod that runs another image than the template says', () => {
    const containers = [{ name: 'app', image: 'nginx:1.26', imageId: `docker.io/library/nginx@${DIGEST}` }];
    expect(runningDigestOf(slot, [aPodOf(workload, DIGEST, { containers })])).toBeUndefined();
  });

  it('is read behind the scheme that older runtimes put in front', () => {
    const containers = [
      { name: 'app', image: 'nginx:1.27', imageId: `docker-pullable://docker.io/library/nginx@${DIGEST}` },
    ];
    expect(runningDigestOf(slot, [aPodOf(workload, DIGEST, { containers })])).toBe(DIGEST);
  });
});

describe('after the prefix was changed', () => {
  const old = `old.example/q/docker.io/library/nginx:1.27@${DIGEST}`;
  const record = {
    ...NO_RECORD,
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', old]]),
  };

  it('copies the original again, not the old copy', () => {
    expect(sourceOf(plan(aSlot(old), { record }))).toBe('docker.io/library/nginx:1.27');
  });

  it('takes a new image of the user for what it is', () => {
    expect(sourceOf(plan(aSlot('nginx:1.28'), { record }))).toBe('docker.io/library/nginx:1.28');
  });

  it.each([
    ['names another image', 'evil/x:1'],
    ['is no reference', '--help'],
  ])('does not believe a record that %s', (_, original) => {
    const forged = { ...record, originals: new Map([['app', original]]) };
    expect(sourceOf(plan(aSlot(old), { record: forged }))).toBe(old);
  });
});
