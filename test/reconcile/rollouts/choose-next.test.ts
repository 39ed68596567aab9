import { describe, expect, it } from 'vitest';

import { type WaiterFacts, chooseNext } from '../../../src/reconcile/rollouts/choose-next.ts';
import type { Risk } from '../../../src/reconcile/rollouts/turns.ts';
import { WaitingLine } from '../../../src/reconcile/rollouts/waiting-line.ts';

function lineUp(waiting: readonly WaiterFacts[]): ReturnType<WaitingLine['list']> {
  const line = new WaitingLine();
  for (const waiter of waiting) {
    line.add(waiter);
  }
  return line.list();
}

describe('of those that wait', () => {
  const waiter = (key: string, risk: Risk, namespace = key): WaiterFacts => ({
    key,
    namespace,
    risk,
    purpose: 'swap',
  });
  /** Of so many free places, beside one that each of `held` has already. */
  const choose = (
    waiting: readonly WaiterFacts[],
    free: number,
    proven: readonly string[] = [],
    held: readonly string[] = [],
  ) => {
    const counts = new Map(held.map((name) => [name, 1]));
    return chooseNext(lineUp(waiting), {
      places: {
        held: counts,
        shared: counts,
        active: new Set([...held, ...waiting.map(({ namespace }) => namespace)]),
      },
      maxRollouts: free + held.length,
      maySwap: () => true,
      isProven: (name: string) => proven.includes(name),
    }).map(({ key }) => key);
  };

  it('the least risk comes first, and among equals who has waited longest', () => {
    const waiting = [
      waiter('d', 'no pod serves'),
      waiter('c', 'a pod of every node'),
      waiter('b1', 'one pod'),
      waiter('b2', 'one pod'),
      waiter('a', 'other pods serve on'),
    ];
    expect(choose(waiting, 5)).toEqual(['a', 'b1', 'b2', 'c', 'd']);
    expect(choose(waiting, 2)).toEqual(['a', 'b1']);
    expect(choose(waiting, 0)).toEqual([]);
  });

  it('one tries it for a namespace, the one with the least risk', () => {
    const waiting = [waiter('x', 'one pod', 'shop'), waiter('y', 'other pods serve on', 'shop')];
    expect(choose(waiting, 2)).toEqual(['y']);
    expect(choose(waiting, 2, ['shop'])).toEqual(['y', 'x']);
    const restores = waiting.map((one) => ({ ...one, purpose: 'restore' as const }));
    expect(choose(restores, 2)).toEqual(['y', 'x']);
  });

  it(
    'namespaces take turns, whatever the risk and however many of one wait',
    { tags: 'attack-share' },
    () => {
      const many = ['x', 'y', 'z'].map((key) => waiter(key, 'other pods serve on', 'shop'));
      const waiting = [...many, waiter('a', 'no pod serves'), waiter('b', 'one pod')];
      expect(choose(waiting, 4, ['shop'])).toEqual(['x', 'b', 'a', 'y']);
      expect(choose(waiting, 4, ['shop'], ['shop', 'a'])).toEqual(['b', 'x', 'a']);
    },
  );
});

it('nobody is called who has no room', { tags: 'attack-share' }, () => {
  const waiting: readonly WaiterFacts[] = ['evil', 'evil', 'shop', 'shop', 'shop'].map(
    (namespace, index) => ({
      key: `${namespace}-${index}`,
      namespace,
      risk: 'one pod',
      purpose: 'swap',
    }),
  );
  const counts = new Map([['evil', 4]]);
  const places = { held: counts, shared: counts, active: new Set(['evil', 'shop']) };
  const chosen = chooseNext(lineUp(waiting), {
    places,
    maxRollouts: 5,
    maySwap: () => true,
    isProven: () => true,
  });
  expect(chosen.map(({ key }) => key)).toEqual(['shop-2', 'shop-3']);
});
