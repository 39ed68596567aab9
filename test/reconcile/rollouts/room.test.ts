import { describe, expect, it } from 'vitest';

import { type Places, createRoom } from '../../../src/reconcile/rollouts/room.ts';

describe('the room of a namespace', () => {
  const toPlaces = (
    held: Readonly<Record<string, number>>,
    { shared = held, active = [] }: { shared?: Readonly<Record<string, number>>; active?: string[] } = {},
  ): Places => ({
    held: new Map(Object.entries(held)),
    shared: new Map(Object.entries(shared)),
    active: new Set([...Object.keys(held), ...active]),
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
    expect(roomOf('evil', toPlaces({ evil: 5, shop: 2 }))).toBeLessThan(0);
  });

  it('is not taken by what others have done out of turn', { tags: 'attack-share' }, () => {
    const places = toPlaces({ evil: 9, more: 9 }, { shared: {} });
    expect(roomOf('shop', places)).toBe(5);
    expect(roomOf('shop', places, 1)).toBe(1);
    expect(roomOf('evil', places)).toBe(-4);
    expect(roomOf('shop', toPlaces({ evil: 9, shop: 3 }, { shared: { shop: 3 } }))).toBe(2);
  });

  it('leaves theirs to those that have none at the moment', { tags: 'attack-share' }, () => {
    const active = ['a', 'b', 'c'];
    expect([1, 2].map((shop) => roomOf('shop', toPlaces({ shop }, { active })))).toEqual([1, -3]);
    expect(roomOf('a', toPlaces({ shop: 2, b: 1, c: 1 }, { active }))).toBe(2);
    expect(roomOf('b', toPlaces({ shop: 2, b: 1, c: 1 }, { active }))).toBe(0);
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
