import { beforeEach, describe, expect, it } from 'vitest';

import { RolloutBudget } from '../../../src/reconcile/rollouts/rollout-budget.ts';
import { formatWorkloadKey } from '../../../src/workloads/kinds.ts';
import type { SwapRecord } from '../../../src/workloads/record.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import { aSlot, aWorkload, annotationsOf } from '../../support/builders.ts';

const START_MS = 1_700_000_000_000;
const TIMEOUT_MS = 600_000;
const HOUR_MS = 3_600_000;
const COPY = 'backup.example/p/docker.io/library/nginx:1.27';

let nowMs: number;
let maxRollouts: number;
let freed: string[];
let stops: number[];
let budget: RolloutBudget;

function createBudget(): RolloutBudget {
  return new RolloutBudget({
    limits: () => ({ maxRollouts, timeoutMs: TIMEOUT_MS }),
    isCopy: (image) => image.startsWith('backup.example/p/'),
    nowMs: () => nowMs,
    onFree: (key) => freed.push(key.slice(key.lastIndexOf('/') + 1)),
    onStopped: (untilMs) => stops.push(untilMs),
  });
}

beforeEach(() => {
  nowMs = START_MS;
  maxRollouts = 2;
  freed = [];
  stops = [];
  budget = createBudget();
});

interface Parts extends Partial<SwapRecord> {
  readonly name?: string;
  readonly namespace?: string;
  readonly rollout?: Partial<Workload['rollout']>;
}

/** Each in a namespace of its own, unless a test says otherwise. */
function original(name: string, parts: Parameters<typeof aWorkload>[0] = {}): Workload {
  return aWorkload({ name, namespace: name, ...parts });
}

/** A workload that a swap has changed just now and that is rolling out. */
function rolling({ name = 'a', namespace = name, rollout, ...parts }: Parts = {}): Workload {
  const record = {
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', COPY]]),
    before: new Map([['app', 'nginx:1.27']]),
    swappedAtMs: nowMs,
    ...parts,
  };
  return aWorkload({
    name,
    namespace,
    slots: [aSlot(COPY)],
    annotations: annotationsOf(record),
    rollout: { generation: 2, observedGeneration: 2, available: 1, ...rollout },
  });
}

function swapped(parts: Parts = {}): Workload {
  return rolling({ ...parts, rollout: { available: 2, ...parts.rollout } });
}

/** A workload whose swap was undone just now. */
function undone(name: string, atMs = nowMs, parts: Parameters<typeof aWorkload>[0] = {}): Workload {
  const record = {
    originals: new Map(),
    copies: new Map(),
    before: new Map(),
    swappedAtMs: atMs,
    hold: { untilMs: atMs + HOUR_MS, failures: 1, images: new Map([['app', 'nginx:1.27']]) },
  };
  return original(name, { ...parts, annotations: annotationsOf(record) });
}

function observe(...workloads: readonly Workload[]): void {
  for (const workload of workloads) {
    budget.observe(formatWorkloadKey(workload), workload);
  }
}

function reserve(workload: Workload, options: { isUrgent?: boolean } = {}): boolean {
  return budget.tryReserve(formatWorkloadKey(workload), workload, options);
}

function noteSuccess(workload: Workload): void {
  budget.noteSuccess(formatWorkloadKey(workload), workload);
}

const OTHER = original('other');

describe('the permits', () => {
  it('are counted from what the cluster shows, as a new leader sees it', () => {
    observe(rolling({ name: 'a' }), rolling({ name: 'b' }));
    budget.start();
    expect(budget.findReasonToWait(OTHER)).toBe('too many rollouts');
  });

  it('are counted for a workload that an autoscaler has changed since', () => {
    observe(rolling({ rollout: { generation: 3, observedGeneration: 3, desired: 3 } }));
    expect(budget.countRolling()).toBe(1);
  });

  it('are not taken by a workload that is rolled out', () => {
    observe(rolling());
    observe(swapped());
    expect(budget.countRolling()).toBe(0);
  });

  it('are not taken for ever by a rollout that hangs', () => {
    observe(rolling());
    nowMs += TIMEOUT_MS;
    expect(budget.countRolling()).toBe(0);
  });

  it('are held from the patch until the change is seen, and then counted once', () => {
    expect(reserve(original('a'))).toBe(true);
    observe(original('a'));
    expect(budget.countRolling()).toBe(1);
    observe(rolling());
    expect(budget.countRolling()).toBe(1);
    observe(swapped());
    expect(budget.countRolling()).toBe(0);
  });

  it('are held by a swap that was undone until the originals are back', () => {
    reserve(original('a'));
    observe(rolling());
    const { rollout, ...parts } = undone('a');
    observe(aWorkload({ ...parts, rollout: { ...rollout, generation: 3, observedGeneration: 2 } }));
    expect(budget.countRolling()).toBe(1);
    observe(aWorkload({ ...parts, rollout: { ...rollout, generation: 3, observedGeneration: 3 } }));
    expect(budget.countRolling()).toBe(0);
  });

  it('are as many as allowed', () => {
    expect(['a', 'b', 'c'].map((name) => reserve(original(name)))).toEqual([true, true, false]);
  });

  it('are not waited for by a rescue, but taken by it', () => {
    observe(rolling({ name: 'a' }), rolling({ name: 'b' }));
    expect(reserve(OTHER, { isUrgent: true })).toBe(true);
    expect(budget.countRolling()).toBe(3);
  });

  it('stay taken by the rollout that was there before when a rescue comes to nothing', () => {
    observe(rolling());
    reserve(rolling(), { isUrgent: true });
    budget.release(formatWorkloadKey(rolling()));
    expect(budget.countRolling()).toBe(1);
  });

  it('are given back when the workload is deleted', () => {
    reserve(original('a'));
    budget.observe(formatWorkloadKey(original('a')), undefined);
    expect(budget.countRolling()).toBe(0);
  });
});

describe('a forged record', () => {
  it.each<[string, Partial<SwapRecord>]>([
    ['of a time to come', { swappedAtMs: Number.MAX_SAFE_INTEGER / 10 }],
    ['of images that are not there', { copies: new Map([['app', 'x/y:1']]) }],
  ])('%s takes no permit', (_, parts) => {
    observe(rolling(parts));
    expect(budget.countRolling()).toBe(0);
  });

  it('takes no permit while this process leads: only its own swaps are new', () => {
    budget.start();
    nowMs += 120_000;
    observe(rolling());
    expect(budget.countRolling()).toBe(0);
  });

  it('of a time before keeps its permit no longer than a rollout may take', () => {
    budget.start();
    nowMs += TIMEOUT_MS;
    observe(rolling({ swappedAtMs: START_MS }));
    expect(budget.countRolling()).toBe(0);
  });

  it('of failures does not stop swapping while this process leads', () => {
    budget.start();
    nowMs += 120_000;
    observe(undone('a'), undone('b'), undone('c'));
    expect(budget.findStopEndMs()).toBeUndefined();
  });

  it('of a success does not make good for failures of this process', () => {
    budget.start();
    nowMs += 120_000;
    for (const key of ['a', 'b', 'c']) {
      budget.noteFailure(key);
    }
    nowMs += 1;
    observe(swapped({ name: 'd' }));
    expect(budget.findStopEndMs()).toBeDefined();
  });
});

describe('a namespace in which no swap has succeeded', () => {
  const first = original('first', { namespace: 'shop' });
  const second = original('second', { namespace: 'shop' });

  it('has one rollout at a time', () => {
    reserve(first);
    expect(budget.findReasonToWait(second)).toBe('first swap of the namespace');
    expect(budget.findReasonToWait(OTHER)).toBeUndefined();
  });

  it('has as many as allowed once a workload runs from the backup there, and wakes those that wait', () => {
    reserve(first);
    budget.waitForPermit(second, 'swap');
    observe(swapped({ name: 'first', namespace: 'shop' }));
    // It is rolled out, and nobody has seen yet what its pods run.
    expect([freed, budget.findReasonToWait(second)]).toEqual([[], 'first swap of the namespace']);
    noteSuccess(swapped({ name: 'first', namespace: 'shop' }));
    expect(freed).toEqual(['second']);
    reserve(second);
    expect(budget.findReasonToWait(original('third', { namespace: 'shop' }))).toBeUndefined();
  });

  it('is not proven by a DaemonSet whose pods nobody has replaced yet', () => {
    observe(swapped({ name: 'node', namespace: 'shop', rollout: { onDelete: true, updated: 0 } }));
    reserve(first);
    expect(budget.findReasonToWait(second)).toBe('first swap of the namespace');
  });

  it('is one again when the last workload that runs from the backup is gone', () => {
    const proof = swapped({ name: 'proof', namespace: 'shop' });
    observe(proof);
    reserve(first);
    budget.observe(formatWorkloadKey(proof), undefined);
    expect(budget.findReasonToWait(second)).toBe('first swap of the namespace');
  });

  it('lets the first be swapped again when it was reverted before it had rolled out', () => {
    maxRollouts = 1;
    reserve(first);
    expect(budget.findReasonToWait(first)).toBeUndefined();
    expect(budget.findReasonToWait(OTHER)).toBe('too many rollouts');
  });

  it('lets nobody else try while the first hangs, for a day', () => {
    reserve(first);
    nowMs += TIMEOUT_MS;
    expect(budget.findReasonToWait(second)).toBe('first swap of the namespace');
    expect(budget.findReasonToWait(OTHER)).toBeUndefined();
    nowMs += 24 * HOUR_MS;
    expect(budget.findReasonToWait(second)).toBeUndefined();
  });

  it('lets nobody else try while the first hangs that an earlier process has swapped', () => {
    observe(rolling({ name: 'first', namespace: 'shop', swappedAtMs: nowMs - 2 * TIMEOUT_MS }));
    budget.start();
    expect(budget.findReasonToWait(second)).toBe('first swap of the namespace');
    observe(swapped({ name: 'first', namespace: 'shop' }));
    expect(budget.findReasonToWait(second)).toBeUndefined();
  });

  it('lets the next one try once the first, which took longer than its permit was kept, was undone', () => {
    budget.start();
    nowMs += 120_000;
    reserve(first);
    observe(rolling({ name: 'first', namespace: 'shop' }));
    nowMs += TIMEOUT_MS;
    observe(rolling({ name: 'first', namespace: 'shop', swappedAtMs: nowMs - TIMEOUT_MS }));
    expect(budget.findReasonToWait(second)).toBe('first swap of the namespace');
    budget.noteFailure(formatWorkloadKey(first));
    const recovered = { generation: 3, observedGeneration: 3 };
    observe(undone('first', nowMs, { namespace: 'shop', rollout: { ...recovered, available: 1 } }));
    expect(budget.findReasonToWait(second)).toBe('first swap of the namespace');
    observe(undone('first', nowMs, { namespace: 'shop', rollout: recovered }));
    expect(budget.findReasonToWait(second)).toBeUndefined();
  });

  it('has the trial that it had when another swap of the same workload is not made', () => {
    reserve(first);
    reserve(first, { isUrgent: true });
    budget.release(formatWorkloadKey(first));
    expect(budget.findReasonToWait(second)).toBe('first swap of the namespace');
    budget.release(formatWorkloadKey(first));
    expect(budget.findReasonToWait(second)).toBeUndefined();
  });

  it('lets the next one try once the first, which was undone, has recovered', () => {
    reserve(first);
    observe(rolling({ name: 'first', namespace: 'shop' }));
    budget.waitForPermit(second, 'swap');
    budget.noteFailure(formatWorkloadKey(first));
    observe(undone('first', nowMs, { namespace: 'shop', rollout: { updated: 1, available: 1 } }));
    expect([freed, budget.findReasonToWait(second)]).toEqual([[], expect.any(String)]);
    observe(undone('first', nowMs, { namespace: 'shop', rollout: { generation: 3, observedGeneration: 3 } }));
    expect(freed).toEqual(['second']);
  });
});

describe('three failed swaps in a row', () => {
  it('stop swapping, after a restart as well, and that is told once by the one who leads', () => {
    observe(undone('a'), undone('b'));
    budget.start();
    expect(budget.findReasonToWait(OTHER)).toBeUndefined();
    nowMs += 1;
    observe(undone('c'));
    budget.noteFailure('Deployment/c/c');
    expect(budget.findReasonToWait(OTHER)).toBe('swapping stopped');
    budget.noteFailure('Deployment/d/d');
    expect(stops).toEqual([nowMs + HOUR_MS]);
    budget = createBudget();
    observe(undone('a'), undone('b'), undone('c'));
    expect(budget.findReasonToWait(OTHER)).toBe('swapping stopped');
    expect(stops).toHaveLength(1);
    budget.start();
    expect(stops).toHaveLength(2);
  });

  it('stop swapping until an hour has passed', () => {
    observe(undone('a'), undone('b'), undone('c'));
    nowMs += HOUR_MS;
    expect(budget.findReasonToWait(OTHER)).toBeUndefined();
  });

  it('stop swapping until the settings are edited', () => {
    observe(undone('a'), undone('b'), undone('c'));
    budget.waitForPermit(OTHER, 'swap');
    nowMs += 1;
    budget.forgiveFailures();
    observe(undone('a', START_MS), undone('b', START_MS), undone('c', START_MS));
    expect(budget.findReasonToWait(OTHER)).toBeUndefined();
    expect(freed).toEqual(['other']);
  });

  it('are none when a swap has succeeded in between', () => {
    observe(undone('a', nowMs - 3), undone('b', nowMs - 2), swapped({ swappedAtMs: nowMs - 1 }), undone('c'));
    expect(budget.findStopEndMs()).toBeUndefined();
  });

  it('are none when a swap of this process has succeeded in between', () => {
    budget.start();
    nowMs += 120_000;
    budget.noteFailure('x');
    budget.noteFailure('y');
    nowMs += 1;
    reserve(original('a'));
    observe(rolling(), swapped());
    noteSuccess(swapped());
    nowMs += 1;
    budget.noteFailure('z');
    expect(budget.findStopEndMs()).toBeUndefined();
  });

  it('are none when one of the workloads is gone, as a new leader would see it', () => {
    observe(undone('a'), undone('b'), undone('c'));
    budget.waitForPermit(OTHER, 'swap');
    budget.observe(formatWorkloadKey(undone('a')), undefined);
    expect(freed).toEqual(['other']);
  });

  it('leave those asleep that wait', () => {
    reserve(original('a'));
    budget.waitForPermit(OTHER, 'swap');
    observe(undone('b'), undone('c'), undone('d'));
    budget.release(formatWorkloadKey(original('a')));
    expect(freed).toEqual([]);
  });

  it('do not stop a rescue', () => {
    observe(undone('a'), undone('b'), undone('c'));
    expect(reserve(OTHER)).toBe(false);
    expect(reserve(OTHER, { isUrgent: true })).toBe(true);
  });
});

it('wakes as many waiting workloads as there are permits, in order', () => {
  reserve(original('a'));
  reserve(original('b'));
  for (const name of ['c', 'd', 'e']) {
    budget.waitForPermit(original(name), 'swap');
  }
  budget.release(formatWorkloadKey(original('a')));
  expect(freed).toEqual(['c']);
  budget.release(formatWorkloadKey(original('b')));
  expect(freed).toEqual(['c', 'd', 'e']);
});

it('wakes what waits for a restore for nothing but a permit', () => {
  maxRollouts = 3;
  observe(undone('x'), undone('y'), undone('z'));
  for (const name of ['a', 'b', 'c']) {
    budget.reserve(name, original(name, { namespace: 'shop' }));
  }
  budget.waitForPermit(original('d', { namespace: 'shop' }), 'restore');
  budget.waitForPermit(original('e', { namespace: 'shop' }), 'swap');
  budget.release('a');
  expect(freed).toEqual(['d']);
});

it('watches 10,000 workloads at the cost of looking at each', () => {
  maxRollouts = 5;
  const many = Array.from({ length: 10_000 }, (_, index) =>
    original(`w${index}`, { namespace: `n${index % 200}` }),
  );
  observe(...many);
  for (const workload of many) {
    budget.waitForPermit(workload, 'swap');
  }
  const startedAtMs = performance.now();
  for (const workload of many.slice(0, 1_000)) {
    reserve(workload);
    observe(swapped({ name: workload.name, namespace: workload.namespace }));
  }
  // 1,000 rollouts in far less time than one of them takes.
  expect(performance.now() - startedAtMs).toBeLessThan(5_000);
});

it('keeps the permit of a patch that leaves no record until its rollout is over', () => {
  maxRollouts = 1;
  expect(budget.tryReserve('a', aWorkload())).toBe(true);
  budget.observe('a', aWorkload({ rollout: { generation: 2, observedGeneration: 2, updated: 1 } }));
  expect(budget.isFree()).toBe(false);
  budget.observe('a', aWorkload({ rollout: { generation: 2, observedGeneration: 2 } }));
  expect(budget.isFree()).toBe(true);
});

it('makes others wait for a permit that was taken beyond the limit', () => {
  maxRollouts = 1;
  budget.reserve('a', aWorkload());
  budget.reserve('b', aWorkload());
  expect(budget.countRolling()).toBe(2);
  budget.release('a');
  expect(budget.tryReserve('c', aWorkload())).toBe(false);
  nowMs += TIMEOUT_MS;
  expect(budget.tryReserve('c', aWorkload())).toBe(true);
});
