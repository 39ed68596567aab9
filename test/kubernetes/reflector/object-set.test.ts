import { describe, expect, it } from 'vitest';

import { ObjectSet } from '../../../src/kubernetes/reflector/object-set.ts';

/** Texts, of which a namespace may have 16 characters; one for which there is no room is kept as `!`. */
const SHARE = { weigh: (text: string) => text.length, mostBytes: 16, reduce: () => '!' };

function kept(value: string) {
  return { uid: value, resourceVersion: '1', value };
}

describe('a set of objects', () => {
  it('gives every namespace its share, and reduces what is beyond it', { tags: 'attack-size' }, () => {
    const set = new ObjectSet(SHARE);
    set.set('evil/a', kept('x'.repeat(16)));
    set.set('evil/b', kept('y'));
    set.set('shop/web', kept('z'.repeat(16)));
    expect(set.values()).toEqual(['x'.repeat(16), '!', 'z'.repeat(16)]);
  });

  it('keeps nothing at all beyond a sixteenth more', { tags: 'attack-size' }, () => {
    const set = new ObjectSet(SHARE);
    set.set('evil/a', kept('x'.repeat(16)));
    for (let n = 0; n < 1_000; n += 1) {
      set.set(`evil/${n}`, kept('yy'));
    }
    expect(set.values()).toEqual(['x'.repeat(16), '!']);
    expect(set.get('evil/500')).toBeUndefined();
  });

  it('has room again when something has become smaller, or is gone', () => {
    const set = new ObjectSet(SHARE);
    set.set('shop/a', kept('x'.repeat(16)));
    set.set('shop/a', kept('xx'));
    set.set('shop/b', kept('y'.repeat(14)));
    expect(set.values()).toEqual(['xx', 'y'.repeat(14)]);
    set.delete('shop/a');
    set.set('shop/c', kept('zz'));
    expect(set.values()).toEqual(['y'.repeat(14), 'zz']);
  });

  it('tells when there is room for what did not fit, and not before', { tags: 'attack-size' }, () => {
    const set = new ObjectSet(SHARE);
    set.set('shop/a', kept('x'.repeat(10)));
    set.set('shop/b', kept('y'.repeat(6)));
    set.set('shop/c', kept('z'.repeat(8)));
    set.set('else/a', kept('x'));
    set.delete('else/a');
    set.delete('shop/b');
    expect([set.get('shop/c')?.isReduced, set.hasRoomAgain]).toEqual([true, false]);
    set.delete('shop/a');
    expect(set.hasRoomAgain).toBe(true);
  });

  it('counts an object once, however often it is set', () => {
    const set = new ObjectSet(SHARE);
    for (let n = 0; n < 100; n += 1) {
      set.set('shop/a', kept('x'.repeat(16)));
    }
    expect(set.values()).toEqual(['x'.repeat(16)]);
  });

  it('keeps everything where no share is named', () => {
    const set = new ObjectSet<string>(undefined);
    set.set('x', kept('x'.repeat(1_000)));
    expect(set.size).toBe(1);
  });
});
