import { beforeEach, expect, it } from 'vitest';

import type { WorkloadMemory } from '../../../src/reconcile/memory/workload-memory.ts';
import { findRunningPods } from '../../../src/reconcile/workload/running-pods.ts';
import { NO_WATCHED_PODS } from '../../../src/reconcile/workload/watched-pods.ts';
import { DIGEST, aPodOf, aWorkload } from '../../support/builders.ts';

const workload = aWorkload();
const signal = new AbortController().signal;
const client = {
  listPods: async () => {
    lists += 1;
    return [aPodOf(workload, DIGEST)];
  },
};

let lists: number;
let memory: Pick<WorkloadMemory, 'runningPods'>;

beforeEach(() => {
  lists = 0;
  memory = {};
});

async function find(parts: Parameters<typeof aWorkload>[0], mayBeOld: boolean): Promise<number> {
  const deps = { pods: NO_WATCHED_PODS, client, memory };
  return (await findRunningPods(deps, { workload: aWorkload(parts), mayBeOld }, signal)).pods.length;
}

it('a workload that waits for its turn has its pods listed once', async () => {
  expect([await find({}, true), await find({}, true), lists]).toEqual([1, 1, 1]);
});

it('one whose turn it is has them listed again', async () => {
  await find({}, true);
  await find({}, false);
  expect(lists).toBe(2);
});

it('another template has other pods', async () => {
  await find({}, true);
  await find({ rollout: { generation: 2, observedGeneration: 2 } }, true);
  expect(lists).toBe(2);
});

it('while a workload rolls out nothing shows what it runs, and what it ran is forgotten', async () => {
  await find({}, true);
  expect(await find({ rollout: { updated: 0 } }, true)).toBe(0);
  await find({}, true);
  expect(lists).toBe(2);
});

it('many pods, or long ones, are not remembered', { tags: 'attack-size' }, async () => {
  const [pod] = await client.listPods();
  for (const listed of [Array.from({ length: 21 }, () => pod), [{ ...pod, unready: 'x'.repeat(9_000) }]]) {
    const large = { listPods: async () => listed as Awaited<ReturnType<typeof client.listPods>> };
    await findRunningPods(
      { pods: NO_WATCHED_PODS, client: large, memory },
      { workload, mayBeOld: true },
      signal,
    );
    expect(memory.runningPods).toBeUndefined();
  }
});
