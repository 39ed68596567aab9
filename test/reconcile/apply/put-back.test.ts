import { beforeEach, expect, it } from 'vitest';

import { ConflictError } from '../../../src/errors.ts';
import { type PutBackDeps, holdWorkload, undoSwap } from '../../../src/reconcile/apply/put-back.ts';
import { createEvent } from '../../../src/reconcile/events/create-event.ts';
import { aSlot, aWorkload } from '../../support/builders.ts';

const workload = aWorkload({ slots: [aSlot('b.io/app:1'), { ...aSlot('other:1'), name: 'other' }] });
const patch = { slots: [aSlot('app:1')], annotations: {} };
const undo = { is: 'undo', patch, event: createEvent('SwapRolledBack', 'x') } as const;
const hold = { is: 'hold', patch, event: createEvent('SwapReverted', 'x') } as const;
const signal = new AbortController().signal;

let happened: string[];
let refusal: Error | undefined;

beforeEach(() => {
  happened = [];
  refusal = undefined;
});

const deps: PutBackDeps = {
  client: {
    async patch() {
      if (refusal) {
        throw refusal;
      }
      happened.push('patched');
    },
  },
  budget: { noteFailure: (key, images) => happened.push(`failure of ${key} with ${images.join()}`) },
  events: { record: (_, { reason }) => happened.push(reason) },
  log: { warn: () => undefined },
  onSwapped: (kind, result) => happened.push(`${kind} ${result}`),
};

it('an undo is told and counted once it is made', async () => {
  await undoSwap(deps, { workload, action: undo }, signal);
  expect(happened).toEqual([
    'patched',
    'SwapRolledBack',
    'Deployment undone',
    'failure of Deployment/shop/web with b.io/app:1',
  ]);
});

it('a hold is told once it is written down, and is no failure', async () => {
  await holdWorkload(deps, { workload, action: hold }, signal);
  expect(happened).toEqual(['patched', 'SwapReverted']);
});

it('what could not be written is neither told nor counted', async () => {
  refusal = new ConflictError('changed');
  await expect(undoSwap(deps, { workload, action: undo }, signal)).rejects.toBe(refusal);
  await expect(holdWorkload(deps, { workload, action: hold }, signal)).rejects.toBe(refusal);
  expect(happened).toEqual([]);
});
