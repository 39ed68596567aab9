import { beforeEach, describe, expect, it } from 'vitest';

import { FairLine, type Share, planShareLimits } from '../../src/queue/fair-line.ts';

let limits: { forAll: number; perHost: number };
let line: FairLine;

beforeEach(() => {
  limits = { forAll: Infinity, perHost: Infinity };
  line = new FairLine(() => limits);
});

function put(keys: string, share: Partial<Share> = {}): void {
  for (const key of keys.split(' ')) {
    line.put(key, { namespaces: ['shop'], ...share });
  }
}

/** All that may begin now, and whose turns they were. */
function takeAll({ isDone = false } = {}): string {
  const taken: string[] = [];
  for (let turn = line.take(); turn; turn = line.take()) {
    taken.push(turn.key);
    if (isDone) {
      line.done(turn.key);
    }
  }
  return taken.join(' ');
}

it('takes keys of one namespace and host in the order in which they were put there', () => {
  put('c a b', { host: 'docker.io' });
  expect(line.size).toBe(3);
  expect(takeAll()).toBe('c a b');
  expect(line.size).toBe(0);
});

it('gives a turn to what nobody wants at the moment', () => {
  put('a', { namespaces: [] });
  expect(takeAll()).toBe('a');
  expect(line.size).toBe(0);
});

it('gives one turn to what nobody has wanted until somebody does', () => {
  put('a', { namespaces: [] });
  put('a b');
  expect(takeAll()).toBe('a b');
});

it('gives namespaces turns, and hosts within a namespace', () => {
  put('a1 a2 a3', { host: 'docker.io' });
  put('b1 b2', { host: 'quay.io' });
  put('c1 c2', { namespaces: ['blog'] });
  expect(takeAll()).toBe('a1 c1 b1 c2 a2 b2 a3');
});

it('takes urgent keys with every other turn, also one that has become urgent while it waits', () => {
  put('a b c e');
  put('d', { isUrgent: true });
  put('c', { isUrgent: true });
  expect(takeAll()).toBe('d a c b e');
});

it('takes what is not urgent although another always has what is', { tags: 'attack-share' }, () => {
  put('shared', { namespaces: ['hostile', 'shop'], isUrgent: true });
  put('a');
  for (const expected of ['shared', 'a']) {
    const turn = line.take();
    expect(turn?.key).toBe(expected);
    line.done(turn?.key ?? '');
    put('shared', { namespaces: ['hostile', 'shop'], isUrgent: true });
  }
});

it('takes a key that several namespaces want with the first turn of any of them, once', () => {
  put('a1 a2 a3');
  put('a3', { namespaces: ['blog'] });
  expect(takeAll()).toBe('a1 a3 a2');
});

it('widens only what waits', () => {
  put('a1 a2');
  line.widen('a2', { namespaces: ['blog'] });
  line.widen('gone', { namespaces: ['blog'] });
  expect(line.take()).toEqual({ key: 'a1', namespace: 'shop' });
  expect(line.take()).toEqual({ key: 'a2', namespace: 'blog' });
  expect(line.take()).toBeUndefined();
});

describe('leaves room', () => {
  it('for namespaces that have nothing under way', { tags: 'attack-share' }, () => {
    limits = { forAll: 2, perHost: Infinity };
    put('a1 a2 a3 a4');
    put('b1 b2', { namespaces: ['blog'] });
    put('c1 c2', { namespaces: ['wiki'] });
    expect(takeAll()).toBe('a1 b1 c1');
    line.done('b1');
    expect(takeAll()).toBe('b2');
    line.done('b2');
    expect(takeAll()).toBe('');
    line.done('c1');
    expect(takeAll()).toBe('a2 c2');
  });

  it('of a host for others, whichever namespaces want it', { tags: 'attack-share' }, () => {
    limits = { forAll: Infinity, perHost: 1 };
    put('a1 a2', { host: 'slow.example' });
    put('b1', { namespaces: ['blog'], host: 'slow.example' });
    put('b2', { namespaces: ['blog'], host: 'docker.io' });
    expect(takeAll()).toBe('a1 b2');
    line.done('a1');
    expect(takeAll()).toBe('a2');
    line.done('a2');
    expect(takeAll()).toBe('b1');
  });

  it('for whoever asks nobody, always', () => {
    limits = { forAll: Infinity, perHost: 1 };
    put('a1 a2 a3');
    expect(takeAll()).toBe('a1 a2 a3');
  });

  it('as soon as the limits are higher', () => {
    limits = { forAll: 1, perHost: 1 };
    put('a1 a2');
    expect(takeAll()).toBe('a1');
    limits = { forAll: 2, perHost: 1 };
    expect(takeAll()).toBe('a2');
  });
});

it('charges the namespace whose turn it was, and no other that wants the key', () => {
  limits = { forAll: 1, perHost: Infinity };
  put('both', { namespaces: ['shop', 'blog'] });
  put('b1', { namespaces: ['blog'] });
  put('a1');
  expect(takeAll()).toBe('both b1');
});

it('forgets what waits, and not what is under way', () => {
  limits = { forAll: 1, perHost: Infinity };
  put('a1 a2');
  line.take();
  line.clear();
  expect(line.size).toBe(0);
  put('a3');
  expect(takeAll()).toBe('');
  line.done('a1');
  expect(takeAll({ isDone: true })).toBe('a3');
});

it.each([
  [1, 1, 1],
  [4, 3, 2],
  [16, 12, 8],
])('of %i at once gives %i to all and %i to a host', (concurrency, forAll, perHost) => {
  expect(planShareLimits(concurrency)).toEqual({ forAll, perHost });
});
