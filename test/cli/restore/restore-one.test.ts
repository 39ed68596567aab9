import { beforeEach, expect, it } from 'vitest';

import { restoreOne } from '../../../src/cli/restore/restore-one.ts';
import { ConflictError, WriteDeniedError } from '../../../src/errors.ts';
import type { WorkloadPatch } from '../../../src/reconcile/ports.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import { DIGEST, aSlot, aWorkload, annotationsOf } from '../../support/builders.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const RECORD = {
  originals: new Map([['app', 'nginx:1.27']]),
  copies: new Map([['app', COPY]]),
  before: new Map<string, string>(),
  swappedAtMs: 1,
};

let live: Workload | undefined;
let patches: WorkloadPatch[];
let refusals: Error[];
/** Looks at the workload after the patch until its rollout ends. */
let looks: number;

function aSwapped(parts: Parameters<typeof aWorkload>[0] = {}): Workload {
  return aWorkload({ slots: [aSlot(COPY)], annotations: annotationsOf(RECORD), ...parts });
}

beforeEach(() => {
  live = aSwapped();
  patches = [];
  refusals = [];
  looks = 0;
});

/** One look at the rollout takes a minute. */
async function restore() {
  let nowMs = 0;
  const deps = {
    client: {
      patch: async (workload: Workload, patch: WorkloadPatch) => {
        const refusal = refusals.shift();
        if (refusal) {
          throw refusal;
        }
        patches.push(patch);
        const [image = COPY] = patch.slots.map((slot) => slot.image);
        live = { ...workload, annotations: {}, slots: [aSlot(image)] };
      },
    },
    read: async () => {
      looks += patches.length > 0 ? 1 : 0;
      const isRolling = looks > 0 && looks < 3;
      return live && isRolling ? { ...live, rollout: { ...live.rollout, available: 1 } } : live;
    },
    clock: { nowMs: () => nowMs, monotonicMs: () => (nowMs += 60_000) },
    rolloutTimeoutMs: 600_000,
    pollMs: 0,
  };
  return restoreOne(deps, aWorkload(), new AbortController().signal);
}

it('puts the original back and waits until the pods run it', async () => {
  expect(await restore()).toEqual({ result: 'restored' });
  expect(live?.slots).toEqual([aSlot('nginx:1.27')]);
  expect(looks).toBe(3);
});

it('looks again when somebody else was faster', async () => {
  refusals = [new ConflictError('changed'), new ConflictError('changed')];
  expect(await restore()).toEqual({ result: 'restored' });
});

it('gives up when somebody else is faster all the time', async () => {
  refusals = Array.from({ length: 9 }, () => new ConflictError('changed'));
  expect(await restore()).toMatchObject({ result: 'failed' });
});

it('says who refuses the write', async () => {
  refusals = [new WriteDeniedError('admission webhook "policy.example" denied the request')];
  expect(await restore()).toEqual({
    result: 'failed',
    detail: 'admission webhook "policy.example" denied the request',
  });
});

it('says that the pods do not come up', async () => {
  live = aSwapped({ rollout: { available: 1 } });
  expect(await restore()).toMatchObject({ result: 'not rolled out' });
});

it.each([
  ['paused', { paused: true, updated: 0 }],
  ['scaled to zero', { desired: 0, current: 0, updated: 0, available: 0 }],
])('waits for no pod of a workload that is %s', async (why, rollout) => {
  live = aSwapped({ rollout });
  expect(await restore()).toEqual({ result: 'restored', detail: `${why}: no pod is replaced now` });
});

it('has nothing to do for a workload that is gone or restored already', async () => {
  live = undefined;
  expect(await restore()).toEqual({ result: 'nothing left to do' });
  live = aWorkload();
  expect(await restore()).toEqual({ result: 'nothing left to do' });
  expect(patches).toEqual([]);
});

it('says which original is not on record any more', async () => {
  live = aSwapped({ annotations: annotationsOf({ ...RECORD, originals: new Map() }) });
  expect(await restore()).toEqual({
    result: 'failed',
    detail: `the original of app is not on record, it stays ${JSON.stringify(COPY)}`,
  });
});
