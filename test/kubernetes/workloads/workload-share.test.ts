import { expect, it } from 'vitest';

import { ObjectSet } from '../../../src/kubernetes/reflector/object-set.ts';
import { WORKLOAD_SHARE } from '../../../src/kubernetes/workloads/workload-share.ts';
import { formatRecord, slotKey } from '../../../src/workloads/record.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import { DIGEST, aSlot, aWorkload } from '../../support/builders.ts';

/** Swapped, with two images and all that is written down of them. */
function anOrdinaryWorkload(n: number): Workload {
  const slots = ['app', 'proxy'].map((name) =>
    aSlot(`backup.example.com/images/ghcr.io/example/${name}:1.27.${n}@${DIGEST}`, { name }),
  );
  const copies = new Map(slots.map((slot) => [slotKey(slot), slot.image]));
  const originals = new Map(slots.map((slot) => [slotKey(slot), `ghcr.io/example/${slot.name}:1.27.${n}`]));
  const annotations = formatRecord({
    originals,
    copies,
    before: originals,
    swappedAtMs: 1_700_000_000_000,
    uid: 'c5ab1b0c-a6a1-4b0e-9a52-7d4d4d1c2a55',
  }) as Record<string, string>;
  return aWorkload({ name: `web-${n}`, slots, annotations });
}

function keep(workloads: readonly Workload[]): readonly Workload[] {
  const set = new ObjectSet(WORKLOAD_SHARE);
  for (const value of workloads) {
    set.set(`${value.namespace}/${value.name}`, { uid: value.name, resourceVersion: '1', value });
  }
  return set.values();
}

function manyOf(count: number, make: (n: number) => Workload): readonly Workload[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

it('2,000 ordinary workloads of one kind have room in a namespace', () => {
  const kept = keep(manyOf(2_000, anOrdinaryWorkload));
  expect(kept).toHaveLength(2_000);
  expect(kept.filter(({ tooLarge }) => tooLarge !== undefined)).toEqual([]);
});

it('of a namespace that takes more, the rest is left alone, and told why', { tags: 'attack-size' }, () => {
  const annotations = { 'backup-image-registry/status': 'x'.repeat(250_000) };
  const kept = keep(manyOf(100, (n) => aWorkload({ name: `web-${n}`, annotations })));
  expect(kept).toHaveLength(100);
  expect(kept.filter(({ tooLarge }) => tooLarge === undefined)).toHaveLength(33);
  expect(kept.at(-1)).toMatchObject({
    slots: [],
    annotations: {},
    tooLarge:
      'the objects of kind Deployment in the namespace shop take more than the 16 MiB of memory that they may take here',
  });
});

it('of a namespace that takes much more, nothing is kept of the rest', { tags: 'attack-size' }, () => {
  const annotations = { 'backup-image-registry/status': 'x'.repeat(250_000) };
  const kept = keep(manyOf(5_000, (n) => aWorkload({ name: `web-${n}`, annotations })));
  expect(kept.length).toBeGreaterThan(100);
  expect(kept.length).toBeLessThan(1_000);
});
