import { describe, expect, it } from 'vitest';

import {
  type Places,
  type TurnFacts,
  type Risk,
  type Waiter,
  chooseNext,
  createRoom,
  findRolloutWait,
  findRisk,
} from '../../../src/reconcile/rollouts/turns.ts';
import { aWorkload } from '../../support/builders.ts';

describe("it is a workload's turn", () => {
  const facts: TurnFacts = {
    isStopped: false,
    freePermits: 1,
    isNamespaceProven: false,
    isNamespaceRolling: false,
  };

  it.each<[string, Partial<TurnFacts>, ReturnType<typeof findRolloutWait>]>([
    ['when a permit is free', {}, undefined],
    [
      'when others of a proven namespace roll',
      { isNamespaceRolling: true, isNamespaceProven: true },
      undefined,
    ],
    [
      'not while another one tries it for the namespace',
      { isNamespaceRolling: true },
      'first swap of the namespace',
    ],
    ['not while no permit is free', { freePermits: 0 }, 'too many rollouts'],
    ['not while there are more rollouts than permits', { freePermits: -2 }, 'too many rollouts'],
    ['not while swapping is stopped', { isStopped: true }, 'swapping stopped'],
  ])('%s', (_, parts, reason) => {
    expect(findRolloutWait({ ...facts, ...parts })).toBe(reason);
  });
});

describe('a copy that cannot be pulled would cost', () => {
  it.each<[string, Parameters<typeof aWorkload>[0], Risk]>([
    ['a Deployment with two pods nothing', { rollout: { desired: 2 } }, 'other pods serve on'],
    ['a Deployment with one pod perhaps that', { rollout: { desired: 1 } }, 'one pod'],
    [
      'a StatefulSet with three pods one that is ended first',
      { kind: 'StatefulSet', rollout: { desired: 3 } },
      'one pod',
    ],
    ['a DaemonSet a pod of a node', { kind: 'DaemonSet' }, 'a pod of every node'],
    ['a Deployment that recreates its pods all of them', { rollout: { recreate: true } }, 'no pod serves'],
  ])('%s', (_, parts, risk) => {
    expect(findRisk(aWorkload(parts))).toBe(risk);
  });
});

describe('of those that wait', () => {
  const waiter = (key: string, risk: Risk, namespace = key): Waiter => ({
    key,
    namespace,
    risk,
    purpose: 'swap',
  });
  /** Of so many free places, beside one that each of `held` has already. */
  const choose = (
    waiting: readonly Waiter[],
    free: number,
    proven: readonly string[] = [],
    held: readonly string[] = [],
  ) => {
    const counts = new Map(held.map((name) => [name, 1]));
    return chooseNext(waiting, {
      places: { held: counts, shared: counts },
      maxRollouts: free + held.length,
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
      expect(choose(waiting, 4, ['shop'], ['shop', 'a'])).toEqual(['b', 'x', 'a', 'y']);
    },
  );
});

describe('the room of a namespace', () => {
  const toPlaces = (held: Readonly<Record<string, number>>, shared = held): Places => ({
    held: new Map(Object.entries(held)),
    shared: new Map(Object.entries(shared)),
  });
  const roomOf = (namespace: string, places: Places, maxRollouts = 5): number =>
    createRoom(places, maxRollouts)(namespace);

  it('is what it and the others have left', () => {
    expect(roomOf('shop', toPlaces({}))).toBe(5);
    expect(roomOf('shop', toPlaces({ shop: 1, a: 2, b: 1 }))).toBe(1);
  });

  it.each([
    ['the only place', { evil: 1 }, 1, 0],
    ['all places', { evil: 5 }, 5, 4],
    ['all places and more', { evil: 50 }, 5, 4],
    ['all places, together with another one', { evil: 4, evil2: 1 }, 5, 3],
    ['all places, one for each of its namespaces', { a: 1, b: 1, c: 1, d: 1, e: 1 }, 5, 0],
  ] as const)(
    'counts with others that have more as if they had no more: with %s',
    { tags: 'attack-share' },
    (_, held, max, room) => {
      expect(roomOf('shop', toPlaces(held), max)).toBe(room);
    },
  );

  it('grows no further than that of the others', { tags: 'attack-share' }, () => {
    expect(roomOf('shop', toPlaces({ evil: 5, shop: 1 }))).toBe(2);
    expect(roomOf('shop', toPlaces({ evil: 5, shop: 2 }))).toBe(0);
    expect(roomOf('evil', toPlaces({ evil: 5, shop: 2 }))).toBe(-2);
  });

  it('is not taken by what others have done out of turn', { tags: 'attack-share' }, () => {
    const places = toPlaces({ evil: 9, more: 9 }, {});
    expect(roomOf('shop', places)).toBe(5);
    expect(roomOf('shop', places, 1)).toBe(1);
    expect(roomOf('evil', places)).toBe(-4);
  });

  it('comes to no more than ten rollouts for five places', { tags: 'attack-share' }, () => {
    const held: Record<string, number> = {};
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) {
      while (roomOf(name, toPlaces(held)) > 0) {
        held[name] = (held[name] ?? 0) + 1;
      }
    }
    expect(held).toEqual({ a: 5, b: 2, c: 1, d: 1, e: 1 });
  });
});

it('nobody is called who has no room', { tags: 'attack-share' }, () => {
  const waiting: readonly Waiter[] = ['evil', 'evil', 'shop', 'shop', 'shop'].map((namespace, index) => ({
    key: `${namespace}-${index}`,
    namespace,
    risk: 'one pod',
    purpose: 'swap',
  }));
  const counts = new Map([['evil', 4]]);
  const places = { held: counts, shared: counts };
  const chosen = chooseNext(waiting, { places, maxRollouts: 5, isProven: () => true });
  expect(chosen.map(({ key }) => key)).toEqual(['shop-2', 'shop-3']);
});
