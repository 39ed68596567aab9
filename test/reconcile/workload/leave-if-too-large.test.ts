import { expect, it } from 'vitest';

import { TooLargeError } from '../../../src/errors.ts';
import { leaveIfTooLarge } from '../../../src/reconcile/workload/leave-if-too-large.ts';
import { aWorkload } from '../../support/builders.ts';

it('a workload about which too much is to be read is looked at as one that is left alone', async () => {
  const looked = await leaveIfTooLarge(aWorkload(), async (workload) => {
    if (workload.tooLarge === undefined) {
      throw new TooLargeError('its pods take too much');
    }
    return workload;
  });
  expect(looked).toMatchObject({ name: 'web', uid: 'uid-1', slots: [], tooLarge: 'its pods take too much' });
});

it('any other failure is passed on', async () => {
  const failure = new Error('something else');
  await expect(leaveIfTooLarge(aWorkload(), () => Promise.reject(failure))).rejects.toBe(failure);
});
