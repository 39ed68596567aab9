import { expect, it } from 'vitest';

import { findSwapOutcome } from '../../../src/reconcile/rollouts/swap-outcome.ts';
import type { SwapRecord } from '../../../src/workloads/record.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import { aSlot, aWorkload } from '../../support/builders.ts';

const COPY = 'backup.example/p/docker.io/library/nginx:1.27';
const SWAPPED: SwapRecord = {
  originals: new Map([['app', 'nginx:1.27']]),
  copies: new Map([['app', COPY]]),
  before: new Map([['app', 'nginx:1.27']]),
  swappedAtMs: 1,
};
const NOTHING: SwapRecord = { originals: new Map(), copies: new Map(), before: new Map(), swappedAtMs: 0 };
const hold = { untilMs: 2, failures: 1, images: new Map([['app', 'nginx:1.27']]) };

function onCopy(rollout: Partial<Workload['rollout']> = {}): Workload {
  return aWorkload({ slots: [aSlot(COPY)], rollout });
}

it.each<[string, Workload, SwapRecord, ReturnType<typeof findSwapOutcome>]>([
  ['rolls out while a pod is not available', onCopy({ available: 1 }), SWAPPED, 'rolling out'],
  ['has succeeded when all pods run it', onCopy(), SWAPPED, 'succeeded'],
  ['has succeeded after an earlier one that failed', onCopy(), { ...SWAPPED, hold }, 'succeeded'],
  [
    'shows nothing while nobody deletes the old pods',
    onCopy({ onDelete: true, updated: 0 }),
    SWAPPED,
    undefined,
  ],
  [
    'shows nothing without pods',
    onCopy({ desired: 0, current: 0, updated: 0, available: 0 }),
    SWAPPED,
    undefined,
  ],
  ['was undone when only a hold is left of it', aWorkload(), { ...NOTHING, hold }, 'undone'],
  ['is over with the next deploy', aWorkload(), { ...SWAPPED, hold }, undefined],
  ['never was where nothing is recorded', aWorkload(), NOTHING, undefined],
])('a swap %s', (_, workload, record, outcome) => {
  expect(findSwapOutcome(workload, record)).toBe(outcome);
});
