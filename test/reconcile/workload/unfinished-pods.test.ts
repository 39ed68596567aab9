import { beforeEach, expect, it } from 'vitest';

import type { WorkloadMemory } from '../../../src/reconcile/memory/workload-memory.ts';
import { findUnfinishedPods } from '../../../src/reconcile/workload/unfinished-pods.ts';
import type { Pod } from '../../../src/workloads/workload.ts';
import { DIGEST, aPodOf, aWorkload } from '../../support/builders.ts';

const ROLLING = aWorkload({ rollout: { desired: 2, current: 3, updated: 1, available: 2 } });

let memory: Pick<WorkloadMemory, 'unfinishedPods' | 'unseenPodsSinceMs'>;
let nowMs: number;

beforeEach(() => {
  [memory, nowMs] = [{}, 1_700_000_000_000];
});

function pods(count: number): readonly Pod[] {
  return Array.from({ length: count }, (_, index) => aPodOf(ROLLING, DIGEST, { name: `web-${index}` }));
}

/** How many pods are found, and whether they are those that are watched. */
async function find(watched: number, workload = ROLLING): Promise<readonly [number, boolean]> {
  const deps = {
    pods: { listOf: () => pods(watched) },
    client: { listPods: () => Promise.resolve(pods(3)) },
    memory,
    nowMs: () => nowMs,
  };
  const found = await findUnfinishedPods(deps, { workload, mayBeOld: false }, new AbortController().signal);
  return [found.pods.length, found.areWatched];
}

it('gives a watch that is behind its workload ten seconds, and lists the pods after that', async () => {
  expect(await find(2)).toEqual([2, true]);
  nowMs += 9_999;
  expect(await find(2)).toEqual([2, true]);
  nowMs += 1;
  expect(await find(2)).toEqual([3, false]);
});

it('begins anew when all were seen, and when the rollout was over', async () => {
  await find(2);
  nowMs += 10_000;
  expect(await find(3)).toEqual([3, true]);
  expect(await find(2)).toEqual([2, true]);
  nowMs += 10_000;
  await find(2, aWorkload());
  expect(await find(2)).toEqual([2, true]);
});
