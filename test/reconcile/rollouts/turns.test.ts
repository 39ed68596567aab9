import { describe, expect, it } from 'vitest';

import {
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
  const choose = (
    waiting: readonly Waiter[],
    free: number,
    proven: readonly string[] = [],
    held: Readonly<Record<string, number>> = {},
  ) => {
    const places = {
      room: () => free,
      isProven: (name: string) => proven.includes(name),
      held: new Map(Object.entries(held)),
    };
    return chooseNext(waiting, places).map(({ key }) => key);
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
      expect(choose(waiting, 4, ['shop'], { shop: 1, a: 1 })).toEqual(['b', 'x', 'a', 'y']);
    },
  );
});

describe('the room of a namespace', () => {
  const roomOf = (
    namespace: string,
    held: Readonly<Record<string, number>>,
    parts: {
      readonly shared?: Readonly<Record<string, number>>;
      readonly told?: Readonly<Record<string, number>>;
      readonly maxRollouts?: number;
    } = {},
  ): number => {
    const { shared = held, told = {}, maxRollouts = 5 } = parts;
    const [all, others, onlyTold] = [held, shared, told].map((counts) => new Map(Object.entries(counts)));
    const places = { held: all ?? new Map(), shared: others ?? new Map(), told: onlyTold ?? new Map() };
    return createRoom(places, maxRollouts)(namespace);
  };

  it('is what it and the others have left', () => {
    expect(roomOf('shop', {})).toBe(5);
    expect(roomOf('shop', { shop: 1, a: 2, b: 1 })).toBe(1);
  });

  it('is never taken by one other alone, unless there is one place', { tags: 'attack-share' }, () => {
    expect([roomOf('shop', { evil: 5 }), roomOf('evil', { evil: 5 })]).toEqual([1, 0]);
    expect(roomOf('shop', { evil: 1 }, { maxRollouts: 1 })).toBe(0);
  });

  it('is taken to a half by what only records of another tell of', { tags: 'attack-annotation' }, () => {
    expect(roomOf('shop', { evil: 8 }, { told: { evil: 8 } })).toBe(2);
    expect(roomOf('shop', { evil: 9 }, { told: { evil: 8 } })).toBe(1);
    expect(roomOf('shop', { evil: 2 }, { told: { evil: 2 } })).toBe(3);
  });

  it('is not taken by what others have done out of turn', { tags: 'attack-share' }, () => {
    const held = { evil: 9, more: 9 };
    expect(roomOf('shop', held, { shared: {} })).toBe(5);
    expect(roomOf('shop', held, { shared: {}, maxRollouts: 1 })).toBe(1);
    expect(roomOf('evil', held, { shared: {} })).toBe(-4);
  });
});

it('nobody is called who has no room', { tags: 'attack-share' }, () => {
  const waiting: readonly Waiter[] = ['evil', 'shop'].map((namespace) => ({
    key: namespace,
    namespace,
    risk: 'one pod',
    purpose: 'swap',
  }));
  const room = (namespace?: string) => (namespace === 'evil' ? 0 : 2);
  const chosen = chooseNext(waiting, { room, isProven: () => true, held: new Map() });
  expect(chosen.map(({ key }) => key)).toEqual(['shop']);
});
