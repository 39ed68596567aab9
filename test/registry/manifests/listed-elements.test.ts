import { describe, expect, it } from 'vitest';

import { countListed } from '../../../src/registry/manifests/listed-elements.ts';

function count(text: string): number {
  return countListed(Buffer.from(text));
}

describe('what the lists of a JSON object have', () => {
  it.each([
    [{}, 0],
    [{ layers: [] }, 0],
    [{ layers: [{}] }, 1],
    [{ layers: [{}, 'x', 7, null, [], [1, 2]] }, 6],
    [{ config: { urls: [1, 2, 3] }, layers: [{ urls: [1, 2], annotations: { a: '1', b: '2' } }] }, 1],
    [{ layers: [{}, {}], LAYERS: [{}], manifests: [] }, 3],
    [{ annotations: { a: '],[', b: '"[1,2]"', c: '\\' }, layers: ['a,b', '\\"', '],'] }, 3],
    [{ a: 1, b: 2, layers: [1], c: 3, d: 4 }, 1],
    [[1, 2, 3], 0],
  ])('%j is %i elements', (content, expected) => {
    expect(count(JSON.stringify(content))).toBe(expected);
    expect(count(JSON.stringify(content, null, '\t'))).toBe(expected);
  });

  it('is as much when a name is there twice', () => {
    expect(count('{"layers":[1],"layers":[1,2]}')).toBe(3);
  });

  it.each(['', '{', '{"layers":[1,2', '{"layers":["', '{"layers":["\\', ']]]', '"', '{"a":[,'])(
    'can be told for %j, which is no JSON',
    (text) => {
      expect(count(text)).toBeLessThanOrEqual(1);
    },
  );

  it('is counted without building anything of it', { tags: 'attack-image' }, () => {
    expect(count(`{"layers":[${'{},'.repeat(1_300_000)}{}]}`)).toBe(1_300_001);
    expect(count('['.repeat(4_000_000))).toBe(0);
    expect(count(`{"x":"${'\\'.repeat(4_000_000)}","layers":[1]}`)).toBe(1);
  });
});
