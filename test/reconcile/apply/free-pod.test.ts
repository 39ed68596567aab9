import { expect, it } from 'vitest';

import { WriteDeniedError } from '../../../src/errors.ts';
import { freePod } from '../../../src/reconcile/apply/free-pod.ts';
import { aWorkload } from '../../support/builders.ts';

const workload = aWorkload({ kind: 'StatefulSet', name: 'db', uid: 'uid-db' });

async function free(refusal: Error | undefined): Promise<readonly string[]> {
  const told: string[] = [];
  await freePod(
    {
      client: {
        async patchPod() {
          if (refusal) {
            throw refusal;
          }
        },
      },
      events: { record: (_, { reason }) => told.push(reason) },
      log: { warn: () => undefined },
    },
    { workload, patch: { name: 'db-0', uid: 'uid-db-0', slots: [] } },
    new AbortController().signal,
  );
  return told;
}

it('a pod that got the images of the template is told of', async () => {
  expect(await free(undefined)).toEqual(['PodRestored']);
});

it('a pod that may not be changed keeps nobody from helping the others', async () => {
  expect(await free(new WriteDeniedError('a policy says no'))).toEqual([]);
});

it('what may go better the next time is tried again', async () => {
  await expect(free(new Error('no answer'))).rejects.toThrow('no answer');
});
