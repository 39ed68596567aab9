import { expect, it } from 'vitest';

import { createRandom } from '../../support/random.ts';
import { forgeRecord, makeAnnotations, makeImageText, makeStatus } from '../../support/hostile-texts.ts';
import { type HostileAct, planActs } from './plan.ts';

const NAMES = ['one', 'two', 'three', 'four'];

function take(seed: number, count: number): readonly HostileAct<string>[] {
  const acts = planActs(NAMES, seed);
  return Array.from({ length: count }, () => acts.next().value);
}

it('plans the same acts for the same seed, and others for another', () => {
  expect(take(7, 40)).toEqual(take(7, 40));
  expect(take(8, 40)).not.toEqual(take(7, 40));
});

it('lets no act wait for long', () => {
  const names = take(7, 40).map(({ name }) => name);
  for (let start = 0; start < names.length; start += NAMES.length) {
    expect(names.slice(start, start + NAMES.length).toSorted()).toEqual(NAMES.toSorted());
  }
});

it('makes the same texts for the same seed', () => {
  const victims = [
    { host: '127.0.0.1:1', repository: 'app', tag: '1.0', digest: 'sha256:aa', otherDigest: 'sha256:bb' },
  ];
  const make = (seed: number): readonly unknown[] => {
    const facts = { prefix: '127.0.0.1:2/backup', victims, random: createRandom(seed) };
    return Array.from({ length: 50 }, () => [
      makeImageText(facts),
      makeStatus(facts, 0),
      forgeRecord(facts, 0),
      makeAnnotations(facts, 0),
    ]);
  };
  expect(make(7)).toEqual(make(7));
  expect(make(8)).not.toEqual(make(7));
});
