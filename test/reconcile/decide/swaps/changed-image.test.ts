import { describe, expect, it } from 'vitest';

import { explainChangedImage } from '../../../../src/reconcile/decide/swaps/changed-image.ts';
import type { PatchPreview, PodPreview } from '../../../../src/reconcile/ports.ts';
import type { Slot } from '../../../../src/workloads/workload.ts';
import { DIGEST, OTHER_DIGEST, aSlot } from '../../../support/builders.ts';

const COPY = `b.io/nginx:1@${DIGEST}`;
const SLOTS = [aSlot(COPY), aSlot('b.io/model', { place: 'volumes' })];

function preview(slots: readonly Slot[], pod: PodPreview = { is: 'unknown' }): PatchPreview {
  return { slots, pod };
}

function inPods(...slots: readonly Slot[]): PatchPreview {
  return preview(SLOTS, { is: 'seen', slots });
}

describe('what admission makes of the template', () => {
  it('is nothing when the slots hold what they should, whatever others hold', () => {
    const made = preview([aSlot('other:1', { name: 'side' }), ...SLOTS]);
    expect(explainChangedImage({ slots: SLOTS }, made, [])).toBeUndefined();
  });

  it.each([
    ['m.io/nginx', 'b.io/model', 'app to "m.io/nginx"'],
    // The record has to name the very text.
    [`b.io/nginx@${DIGEST}`, 'b.io/model', `app to "b.io/nginx@${DIGEST}"`],
    [COPY, 'm.io/\u001B', 'volume:app to "m.io/?"'],
  ])('is told: %j, %j', (image, model, expected) => {
    const made = preview([aSlot(image), aSlot(model, { place: 'volumes' })]);
    expect(explainChangedImage({ slots: SLOTS }, made, [])).toBe(
      `admission would change the image of ${expected}`,
    );
  });

  it('counts a slot that is gone as changed', () => {
    expect(explainChangedImage({ slots: SLOTS }, preview([]), [])).toBe(
      'admission would change the image of app to ""',
    );
  });
});

describe('what admission makes of pods', () => {
  const model = aSlot('b.io/model', { place: 'volumes' });

  it.each([COPY, `b.io/nginx@${DIGEST}`, `b.io/nginx:other@${DIGEST}`])('is still the copy: %s', (image) => {
    expect(explainChangedImage({ slots: SLOTS }, inPods(aSlot(image), model), [])).toBeUndefined();
  });

  it.each([`mirror.corp/b.io/nginx:1@${DIGEST}`, `b.io/nginx:1@${OTHER_DIGEST}`, 'b.io/nginx:1', ''])(
    'is not the copy any more: %j',
    (image) => {
      expect(explainChangedImage({ slots: SLOTS }, inPods(aSlot(image), model), [])).toBe(
        `admission would change the image of app in its pods to "${image}"`,
      );
    },
  );

  const rewritten = [{ slot: aSlot('nginx:1'), rewritten: 'mirror.corp/nginx:1' }];

  it.each([
    [
      'it may not be asked',
      preview(SLOTS, { is: 'not permitted' }),
      'without the permission of config/components/',
    ],
    ['the pod cannot be tried', preview(SLOTS), 'because the dry run fails'],
    ['not even the patch can be tried', undefined, 'because the dry run fails'],
  ])('counts as changed while %s, and running pods show that images are changed', (_, made, why) => {
    const explained = explainChangedImage({ slots: SLOTS }, made, rewritten);
    expect(explained).toContain('pods have "mirror.corp/nginx:1" in app');
    expect(explained).toContain(why);
    expect(explainChangedImage({ slots: SLOTS }, made, [{ slot: aSlot('nginx:1') }])).toBeUndefined();
  });

  it('counts more than what running pods show', () => {
    expect(explainChangedImage({ slots: SLOTS }, inPods(...SLOTS), rewritten)).toBeUndefined();
  });
});
