import { expect, it } from 'vitest';

import { WriteDeniedError } from '../../../src/errors.ts';
import { freeStuckPods } from '../../../src/reconcile/apply/free-stuck-pods.ts';
import { parseRecord } from '../../../src/workloads/record.ts';
import type { Pod } from '../../../src/workloads/workload.ts';
import { DIGEST, aWorkload, someSettings } from '../../support/builders.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const workload = aWorkload({ kind: 'StatefulSet', name: 'db', uid: 'uid-db' });

function aStuckPod(name: string): Pod {
  const waiting = { reason: 'ImagePullBackOff', message: '401' };
  return {
    name,
    made: { uid: `uid-${name}`, by: { uid: 'uid-db', name: 'db' } },
    createdAtMs: 0,
    ready: false,
    containers: [{ name: 'app', image: COPY, imageId: '', waiting }],
  };
}

async function free(refuse: (name: string) => Error | undefined): Promise<readonly string[]> {
  const freed: string[] = [];
  await freeStuckPods(
    {
      client: {
        patchPod: async (_, { name }) => {
          const refusal = refuse(name);
          if (refusal) {
            throw refusal;
          }
          freed.push(name);
        },
      },
      events: { record: () => undefined },
      log: { warn: () => undefined },
    },
    {
      workload,
      record: parseRecord({}),
      pods: [aStuckPod('db-0'), aStuckPod('db-1')],
      prefix: someSettings().REGISTRY_PREFIX,
    },
    new AbortController().signal,
  );
  return freed;
}

it('a pod that may not be changed keeps nobody from helping the others', async () => {
  const denied = new WriteDeniedError('a policy says no');
  expect(await free((name) => (name === 'db-0' ? denied : undefined))).toEqual(['db-1']);
});

it('what may go better the next time is tried again', async () => {
  await expect(free(() => new Error('no answer'))).rejects.toThrow('no answer');
});
