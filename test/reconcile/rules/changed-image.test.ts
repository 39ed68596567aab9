import { expect, it } from 'vitest';

import { explainChangedImage } from '../../../src/reconcile/rules/changed-image.ts';
import { aSlot } from '../../support/builders.ts';

const SLOTS = [aSlot('b.io/nginx'), aSlot('b.io/model', { place: 'volumes' })];

it('finds nothing when the slots hold what they should, whatever others hold', () => {
  expect(
    explainChangedImage({ slots: SLOTS }, [aSlot('other:1', { name: 'side' }), ...SLOTS]),
  ).toBeUndefined();
});

it.each([
  ['m.io/nginx', 'b.io/model', '"m.io/nginx" of the image of app'],
  ['b.io/nginx', 'm.io/\u001B', '"m.io/?" of the image of volume:app'],
])('says what is made of them: %j, %j', (image, model, expected) => {
  const made = [aSlot(image), aSlot(model, { place: 'volumes' })];
  expect(explainChangedImage({ slots: SLOTS }, made)).toBe(`a webhook or policy makes ${expected}`);
});

it('counts a slot that is gone as changed', () => {
  expect(explainChangedImage({ slots: SLOTS }, [])).toBe('a webhook or policy makes "" of the image of app');
});
