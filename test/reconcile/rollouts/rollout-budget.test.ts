import { beforeEach, describe, expect, it } from 'vitest';

import { RolloutBudget } from '../../../src/reconcile/rollouts/rollout-budget.ts';
import type { SwapStop } from '../../../src/reconcile/rollouts/swap-stops.ts';
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
let stops: SwapStop[];
/** What the Lease keeps. */
let memo: string | undefined;
let budget: RolloutBudget;

function createBudget(): RolloutBudget {
  return new RolloutBudget({
    limits: () => ({ maxRollouts, timeoutMs: TIMEOUT_MS }),
    isCopy: (image) => image.startsWith('backup.example/p/'),
    nowMs: () => nowMs,
    onFree: (key) => freed.push(key.slice(key.lastIndexOf('/') + 1)),
    onStopped: (stop) => stops.push(stop),
    memo: { read: () => memo, write: (text) => (memo = text) },
  });
}

beforeEach(() => {
  nowMs = START_MS;
  maxRollouts = 2;
  freed = [];
  stops = [];
  memo = undefined;
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

describe('a forged record', { tags: 'attack-annotation' }, () => {
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

  it('of a time before takes no permit when it appears while this process leads', () => {
    budget.start();
    observe(rolling({ name: 'known' }));
    nowMs += 6_000;
    observe(
      rolling({ name: 'known', swappedAtMs: START_MS }),
      rolling({ name: 'new', swappedAtMs: START_MS }),
    );
    expect(budget.countRolling()).toBe(1);
  });

  it('of a time before keeps its permit no longer than a rollout may take', () => {
    budget.start();
    nowMs += TIMEOUT_MS;
    observe(rolling({ swappedAtMs: START_MS }));
    expect(budget.countRolling()).toBe(0);
  });

  it.each([
    ['of failures stops nothing', -1],
    ['of failures stops nothing while this process leads', 120_000],
  ])('%s', { tags: 'attack-annotation' }, (_, laterMs) => {
    budget.start();
    nowMs += laterMs;
    observe(undone('a'), undone('b'), undone('c'));
    observe(...['x', 'y', 'z'].map((name) => undone(name, nowMs, { namespace: 'shop' })));
    expect(budget.readStops()).toEqual({ isStopped: false, stoppedNamespaces: 0 });
    expect(budget.findReasonToWait(original('w', { namespace: 'shop' }))).toBeUndefined();
  });

  it.each([-1, 120_000])(
    'of a success does not make good for failures of this process, %s ms after its start',
    { tags: 'attack-annotation' },
    (laterMs) => {
      budget.start();
      fail('a', 'b', 'c');
      nowMs += laterMs;
      const forged = swapped({ name: 'd', swappedAtMs: nowMs + 1 });
      observe(rolling({ name: 'd', swappedAtMs: nowMs + 1 }), forged);
      noteSuccess(forged);
      expect(budget.readStops()).toMatchObject({ isStopped: true });
    },
  );

  it.each<[string, readonly string[], string]>([
    ['that this process has not made', [], COPY],
    ['to other images than this process has written', [COPY], 'backup.example/p/docker.io/library/never:1'],
  ])('of a swap %s stops nothing when that is undone', (_, written, undoneImage) => {
    budget.start();
    for (const name of ['a', 'b', 'c']) {
      const key = formatWorkloadKey(original(name));
      budget.noteSwapped(key, written);
      budget.noteFailure(key, [undoneImage]);
    }
    expect(budget.readStops()).toEqual({ isStopped: false, stoppedNamespaces: 0 });
  });

  it('of a swap counts no failure twice', () => {
    budget.start();
    fail('a', 'b', 'c');
    budget.forgiveFailures();
    for (const name of ['a', 'b', 'c']) {
      budget.noteFailure(formatWorkloadKey(original(name)), [COPY]);
    }
    expect(budget.readStops()).toMatchObject({ isStopped: false });
  });

  it('of rollouts leaves a place to the other namespaces', { tags: 'attack-annotation' }, () => {
    observe(...['x', 'y', 'z'].map((name) => rolling({ name, namespace: 'shop' })));
    budget.start();
    expect(budget.findReasonToWait(original('w', { namespace: 'shop' }))).toBe('too many rollouts');
    expect(budget.findReasonToWait(OTHER)).toBeUndefined();
    reserve(OTHER);
    expect(budget.findReasonToWait(original('third'))).toBe('too many rollouts');
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
    failOne(first);
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
    failOne(first);
    observe(undone('first', nowMs, { namespace: 'shop', rollout: { updated: 1, available: 1 } }));
    expect([freed, budget.findReasonToWait(second)]).toEqual([[], expect.any(String)]);
    observe(undone('first', nowMs, { namespace: 'shop', rollout: { generation: 3, observedGeneration: 3 } }));
    expect(freed).toEqual(['second']);
  });
});

/** A swap that this process has made, and undone. */
function failOne(workload: Workload): void {
  const key = formatWorkloadKey(workload);
  budget.noteSwapped(key, [COPY]);
  budget.noteFailure(key, [COPY]);
}

/** One after the other, each in its own namespace. */
function fail(...names: readonly string[]): void {
  for (const name of names) {
    failOne(original(name));
  }
}

function failInShop(...names: readonly string[]): void {
  for (const name of names) {
    failOne(original(name, { namespace: 'shop' }));
  }
}

/** A swap of this process that succeeds now. */
function succeed(parts: Parts): void {
  nowMs += 1;
  reserve(original(parts.name ?? 'a', parts.namespace === undefined ? {} : { namespace: parts.namespace }));
  observe(rolling(parts), swapped(parts));
  noteSuccess(swapped(parts));
  nowMs += 1;
}

const IN_SHOP = original('another', { namespace: 'shop' });

describe('failed swaps in three namespaces in a row', () => {
  beforeEach(() => {
    budget.start();
  });

  it('stop swapping everywhere, which is told once', () => {
    fail('a', 'b');
    expect(budget.findReasonToWait(OTHER)).toBeUndefined();
    fail('c', 'd');
    expect(budget.findReasonToWait(OTHER)).toBe('swapping stopped');
    expect(stops).toEqual([{ untilMs: nowMs + HOUR_MS }]);
  });

  it('stop it after a restart as well, which is told again', () => {
    fail('a', 'b', 'c');
    nowMs += 1;
    budget = createBudget();
    budget.start();
    expect(budget.findReasonToWait(OTHER)).toBe('swapping stopped');
    expect(stops).toEqual(Array.from({ length: 2 }, () => ({ untilMs: START_MS + HOUR_MS })));
  });

  it('stop it until an hour has passed', () => {
    fail('a', 'b', 'c');
    nowMs += HOUR_MS;
    expect(budget.findReasonToWait(OTHER)).toBeUndefined();
    fail('a', 'b', 'c');
    expect(stops).toHaveLength(2);
  });

  it('stop it until the settings are edited, for the next leader as well', () => {
    fail('a', 'b', 'c');
    budget.waitForPermit(OTHER, 'swap');
    expect(freed).toEqual([]);
    budget.forgiveFailures();
    expect(budget.findReasonToWait(OTHER)).toBeUndefined();
    expect([freed, memo]).toEqual([['other'], '']);
  });

  it('stop it for the next leader after an edit of the settings that both have seen before', () => {
    const follower = createBudget();
    budget.forgiveFailures();
    fail('a', 'b', 'c');
    follower.forgiveFailures();
    nowMs += 1;
    follower.start();
    expect(follower.readStops().isStopped).toBe(true);
  });

  it('are none when a swap has succeeded in between, be it before a restart', () => {
    fail('a', 'b');
    succeed({ name: 'd' });
    fail('c');
    budget = createBudget();
    budget.start();
    fail('e');
    expect(budget.readStops().isStopped).toBe(false);
    fail('f');
    expect(budget.readStops().isStopped).toBe(true);
  });

  it('are not made good for by deleting one of the workloads', { tags: 'attack-share' }, () => {
    fail('a', 'b', 'c');
    budget.observe(formatWorkloadKey(original('a')), undefined);
    expect(budget.readStops().isStopped).toBe(true);
  });

  it('leave those asleep that wait', () => {
    reserve(original('a'));
    budget.waitForPermit(OTHER, 'swap');
    freed = [];
    fail('b', 'c', 'd');
    budget.release(formatWorkloadKey(original('a')));
    expect(freed).toEqual([]);
  });

  it('do not stop a rescue', () => {
    fail('a', 'b', 'c');
    expect(reserve(OTHER)).toBe(false);
    expect(reserve(OTHER, { isUrgent: true })).toBe(true);
  });
});

describe('three failed swaps in one namespace', () => {
  beforeEach(() => {
    budget.start();
  });

  it('stop only that namespace, which is told once', { tags: 'attack-share' }, () => {
    failInShop('x', 'y', 'z', 'u', 'v', 'w');
    expect(budget.findReasonToWait(IN_SHOP)).toBe('swapping stopped');
    expect(budget.findReasonToWait(OTHER)).toBeUndefined();
    expect(budget.readStops()).toEqual({ isStopped: false, stoppedNamespaces: 1 });
    expect(stops).toEqual([{ namespace: 'shop', untilMs: nowMs + HOUR_MS }]);
  });

  it('count as one namespace for all', { tags: 'attack-share' }, () => {
    failInShop('x', 'y', 'z');
    fail('a');
    expect(budget.findReasonToWait(OTHER)).toBeUndefined();
    fail('b');
    expect(budget.findReasonToWait(OTHER)).toBe('swapping stopped');
  });

  it('are not made good for by a swap of another namespace, but by one of that', () => {
    reserve(IN_SHOP);
    failInShop('x', 'y', 'z');
    succeed({ name: 'd' });
    expect(budget.findReasonToWait(IN_SHOP)).toBe('swapping stopped');
    observe(swapped({ name: 'another', namespace: 'shop' }));
    noteSuccess(swapped({ name: 'another', namespace: 'shop' }));
    expect(budget.findReasonToWait(IN_SHOP)).toBeUndefined();
  });

  it('stop it after a restart as well, and until an hour has passed', () => {
    failInShop('x', 'y', 'z');
    budget = createBudget();
    budget.start();
    expect(budget.findReasonToWait(IN_SHOP)).toBe('swapping stopped');
    nowMs += HOUR_MS;
    expect(budget.findReasonToWait(IN_SHOP)).toBeUndefined();
  });

  it('leave asleep whoever waits there', () => {
    reserve(original('a'));
    reserve(original('b'));
    budget.waitForPermit(IN_SHOP, 'swap');
    failInShop('x', 'y', 'z');
    budget.release(formatWorkloadKey(original('a')));
    expect(freed).toEqual([]);
  });
});

describe('what one namespace does', { tags: 'attack-share' }, () => {
  const inEvil = (name: string): Workload => original(name, { namespace: 'evil' });
  const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

  it.each([1, 2, 5])('with rescues takes none of %i places from others', (most) => {
    maxRollouts = most;
    for (const name of NAMES) {
      reserve(inEvil(name), { isUrgent: true });
      reserve(original(name, { namespace: 'evil2' }), { isUrgent: true });
    }
    expect(budget.findReasonToWait(inEvil('z'))).toBe('too many rollouts');
    expect(budget.findReasonToWait(OTHER)).toBeUndefined();
    budget.waitForPermit(inEvil('z'), 'swap');
    budget.waitForPermit(OTHER, 'swap');
    expect(freed).toEqual(['other']);
  });

  it('with restores that do not wait takes no place from others', () => {
    for (const name of NAMES) {
      budget.reserve(formatWorkloadKey(inEvil(name)), inEvil(name), { isUrgent: true });
    }
    expect(budget.isFree(OTHER)).toBe(true);
  });

  it('with swaps that do not end takes the place of one other, not of all', () => {
    maxRollouts = 5;
    observe(swapped({ name: 'proof', namespace: 'evil' }));
    expect(NAMES.filter((name) => reserve(inEvil(name)))).toHaveLength(5);
    // Whoever is called and has no room would be called again at once, for ever.
    budget.waitForPermit(inEvil('z'), 'swap');
    expect(freed).toEqual([]);
    expect(NAMES.filter((name) => reserve(original(name)))).toEqual(['a', 'b', 'c', 'd']);
  });

  it('with a rescue keeps no place free that nobody can have', () => {
    maxRollouts = 2;
    reserve(inEvil('a'), { isUrgent: true });
    reserve(inEvil('b'), { isUrgent: true });
    observe(swapped({ name: 'proof', namespace: 'shop' }));
    reserve(original('x', { namespace: 'shop' }));
    budget.waitForPermit(inEvil('c'), 'swap');
    expect(reserve(original('y', { namespace: 'shop' }))).toBe(true);
  });
});

describe('namespaces take turns', () => {
  /** With rollouts that do not end. */
  function fillShop(): void {
    maxRollouts = 3;
    observe(swapped({ name: 'proof', namespace: 'shop' }));
    reserve(original('far'));
    reserve(original('x', { namespace: 'shop' }));
    reserve(original('y', { namespace: 'shop' }));
    for (const name of ['u', 'v', 'w']) {
      budget.waitForPermit(original(name, { namespace: 'shop' }), 'swap');
    }
    budget.waitForPermit(OTHER, 'swap');
  }

  it('when a place is free: it is for the one that has fewer', { tags: 'attack-share' }, () => {
    fillShop();
    budget.release(formatWorkloadKey(original('x', { namespace: 'shop' })));
    expect(freed).toEqual(['other']);
  });

  it('and the place is kept until it is taken, whoever asks first', { tags: 'attack-share' }, () => {
    fillShop();
    budget.release(formatWorkloadKey(original('x', { namespace: 'shop' })));
    expect(reserve(original('u', { namespace: 'shop' }))).toBe(false);
    expect(reserve(OTHER)).toBe(true);
  });

  it('and it is kept for half a minute', () => {
    fillShop();
    budget.release(formatWorkloadKey(original('x', { namespace: 'shop' })));
    expect(budget.findReasonToWait(original('third'))).toBe('too many rollouts');
    nowMs += 30_000;
    expect(budget.findReasonToWait(original('third'))).toBeUndefined();
  });

  it('and the next one is called when it is not wanted any more', () => {
    fillShop();
    budget.release(formatWorkloadKey(original('x', { namespace: 'shop' })));
    budget.withdraw(OTHER);
    expect(freed).toEqual(['other', 'u']);
  });

  it('when time has freed a place, which nobody hears of', { tags: 'attack-share' }, () => {
    maxRollouts = 1;
    reserve(original('x', { namespace: 'shop' }));
    budget.waitForPermit(OTHER, 'swap');
    nowMs += TIMEOUT_MS - 1;
    reserve(original('y', { namespace: 'shop' }), { isUrgent: true });
    nowMs += 1;
    expect(reserve(original('u', { namespace: 'shop' }))).toBe(false);
    budget.waitForPermit(original('u', { namespace: 'shop' }), 'swap');
    expect(freed).toEqual(['other']);
    expect(reserve(OTHER)).toBe(true);
  });

  it('and one has all places while nobody else waits', () => {
    observe(swapped({ name: 'proof', namespace: 'shop' }));
    expect(['x', 'y'].map((name) => reserve(original(name, { namespace: 'shop' })))).toEqual([true, true]);
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
  expect(freed).toEqual(['c', 'd']);
});

it('wakes what waits for a restore for nothing but a permit', () => {
  maxRollouts = 3;
  fail('x', 'y', 'z');
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
  expect(budget.isFree(OTHER)).toBe(false);
  budget.observe('a', aWorkload({ rollout: { generation: 2, observedGeneration: 2 } }));
  expect(budget.isFree(OTHER)).toBe(true);
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
