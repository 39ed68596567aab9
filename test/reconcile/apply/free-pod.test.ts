import { beforeEach, expect, it } from 'vitest';

import { WriteDeniedError } from '../../../src/errors.ts';
import { freePod } from '../../../src/reconcile/apply/free-pod.ts';
import type { WorkloadMemory } from '../../../src/reconcile/memory/workload-memory.ts';
import type { PatchPreview } from '../../../src/reconcile/ports.ts';
import { aSlot, aWorkload } from '../../support/builders.ts';

const workload = aWorkload({ kind: 'StatefulSet', name: 'db', uid: 'uid-db' });
const SLOT = aSlot('nginx:1.27');
const HOUR_MS = 3_600_000;

let memory: Pick<WorkloadMemory, 'deniedPods'>;
let nowMs: number;
let told: string[];
let requests: string[];
beforeEach(() => {
  memory = {};
  nowMs = 1_700_000_000_000;
  told = [];
  requests = [];
});

interface Answers {
  readonly dryRun?: PatchPreview | Error;
  readonly patch?: Error;
}

function orThrow<T>(answer: T | Error): T {
  if (answer instanceof Error) {
    throw answer;
  }
  return answer;
}

async function free({ dryRun, patch }: Answers): Promise<void> {
  await freePod(
    {
      client: {
        async dryRunPatch() {
          requests.push('dry run');
          return orThrow(dryRun);
        },
        async patchPod() {
          requests.push('patch');
          orThrow(patch);
        },
      },
      events: { record: (_, { reason, note }) => told.push(`${reason}: ${note}`) },
      log: { warn: () => undefined },
      nowMs: () => nowMs,
    },
    { workload, memory, patch: { name: 'db-0', uid: 'uid-db-0', slots: [SLOT] } },
    new AbortController().signal,
  );
}

it('a pod that got the images of the template is told of', async () => {
  await free({ dryRun: { slots: [SLOT], pod: { is: 'seen', slots: [SLOT] } } });
  expect(requests).toEqual(['dry run', 'patch']);
  expect(told).toEqual([expect.stringMatching(/^PodRestored: The pod db-0/)]);
});

it('a pod that may not be changed keeps nobody from helping the others', async () => {
  await free({ patch: new WriteDeniedError('a policy says no') });
  expect(told).toEqual([expect.stringMatching(/^PodNotRestored: .*a policy says no/)]);
});

const other = aSlot('mirror.example/nginx:1.27');
it.each<[string, PatchPreview | Error, RegExp]>([
  ['refuse such a pod', new WriteDeniedError('only signed images'), /only signed images/],
  [
    'give it another image',
    { slots: [SLOT], pod: { is: 'seen', slots: [other] } },
    /would change the image of app/,
  ],
])('a pod is left alone for an hour where admission would %s, which is told once', async (_, dryRun, why) => {
  await free({ dryRun });
  await free({ dryRun });
  expect(requests).toEqual(['dry run']);
  expect(told).toEqual([expect.stringMatching(why)]);
  nowMs += HOUR_MS;
  await free({});
  expect(requests).toEqual(['dry run', 'dry run', 'patch']);
});

it('what may go better the next time is tried again', async () => {
  await expect(free({ patch: new Error('no answer') })).rejects.toThrow('no answer');
  await free({});
  expect(requests).toEqual(['dry run', 'patch', 'dry run', 'patch']);
});
