import { pino } from 'pino';
import { beforeEach, expect, it } from 'vitest';

import { ConflictError, RegistryError, WriteDeniedError } from '../../src/errors.ts';
import { parseReference } from '../../src/images/reference.ts';
import { createCopyReconciler } from '../../src/reconcile/copy-reconciler.ts';
import { CopyStore } from '../../src/reconcile/copy-store.ts';
import type { ObjectEvent, WorkloadPatch } from '../../src/reconcile/ports.ts';
import { RolloutBudget } from '../../src/reconcile/rollout-budget.ts';
import { createWorkloadReconciler } from '../../src/reconcile/workload-reconciler.ts';
import { formatWorkloadKey } from '../../src/workloads/kinds.ts';
import { slotKey } from '../../src/workloads/record.ts';
import type { Pod, Workload } from '../../src/workloads/workload.ts';
import { DIGEST, OTHER_DIGEST, aPodOf, aSlot, aWorkload, someSettings } from '../support/builders.ts';
import { MemoryRegistry } from '../support/memory-registry.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const signal = new AbortController().signal;
const log = pino({ enabled: false });
const nowMs = () => wallMs;

let wallMs: number;
let cluster: Map<string, Workload>;
let pods: readonly Pod[];
let podLists: number;
let denial: Error | undefined;
let nodePlatforms: readonly string[];
/** Of the last patch. */
let annotations: WorkloadPatch['annotations'];
let told: ObjectEvent[];
let registry: MemoryRegistry;
let world: ReturnType<typeof buildWorld>;

/** The loop over a cluster in memory; what it does not prove, the integration tests do. */
function buildWorld(data: Record<string, string> = {}) {
  const settings = () => someSettings(data);
  const copyKeys = new Set<string>();
  const workloadKeys = new Set<string>();
  const copies = new CopyStore({
    onWanted: (key) => copyKeys.add(key),
    onSettled: (key) => workloadKeys.add(key),
  });
  const budget = new RolloutBudget({
    limits: () => ({ maxRollouts: settings().MAX_CONCURRENT_ROLLOUTS, timeoutMs: 600_000 }),
    nowMs,
    onFree: (key) => workloadKeys.add(key),
  });
  const reconcileCopy = createCopyReconciler({
    copies,
    registry,
    settings,
    log,
    nowMs,
    random: () => 0.5,
    onCopied: () => undefined,
  });
  const reconcileWorkload = createWorkloadReconciler({
    workloads: { get: (name) => cluster.get(formatWorkloadKey(name)), list: () => [...cluster.values()] },
    client: {
      listPods: async () => {
        podLists += 1;
        return pods;
      },
      listNodePlatforms: async () => nodePlatforms,
      patch: async (workload, patch) => patchWorkload(workload, patch),
    },
    registry,
    copies,
    budget,
    events: { record: (_, event) => told.push(event) },
    settings,
    log,
    nowMs,
    onSwapped: () => undefined,
  });
  return { copies, budget, copyKeys, workloadKeys, reconcileCopy, reconcileWorkload };
}

function patchWorkload(read: Workload, patch: WorkloadPatch): void {
  const key = formatWorkloadKey(read);
  const live = cluster.get(key);
  if (denial) {
    throw denial;
  }
  if (!live || live.resourceVersion !== read.resourceVersion) {
    throw new ConflictError('changed');
  }
  annotations = patch.annotations;
  const images = new Map(patch.slots.map((slot) => [slotKey(slot), slot.image]));
  cluster.set(key, {
    ...live,
    resourceVersion: `${Number(live.resourceVersion) + 1}`,
    slots: live.slots.map((slot) => ({ ...slot, image: images.get(slotKey(slot)) ?? slot.image })),
  });
}

function imagesOf(workload: Workload): readonly string[] {
  return cluster.get(formatWorkloadKey(workload))?.slots.map((slot) => slot.image) ?? [];
}

/** Works on the keys until none is left. */
async function settle(...workloads: readonly Workload[]): Promise<void> {
  for (const workload of workloads) {
    world.workloadKeys.add(formatWorkloadKey(workload));
  }
  while (world.workloadKeys.size > 0 || world.copyKeys.size > 0) {
    for (const key of world.workloadKeys) {
      world.workloadKeys.delete(key);
      await world.reconcileWorkload(key, signal);
    }
    for (const key of world.copyKeys) {
      world.copyKeys.delete(key);
      await world.reconcileCopy(key, signal).catch(() => undefined);
    }
  }
}

function addWorkload(parts: Parameters<typeof aWorkload>[0] = {}): Workload {
  const workload = aWorkload(parts);
  cluster.set(formatWorkloadKey(workload), workload);
  return workload;
}

beforeEach(() => {
  wallMs = 1_700_000_000_000;
  annotations = {};
  cluster = new Map();
  pods = [];
  podLists = 0;
  denial = undefined;
  nodePlatforms = ['linux/amd64', 'linux/arm64'];
  told = [];
  registry = new MemoryRegistry({});
  registry.put(parseReference('nginx:1.27'), DIGEST);
  world = buildWorld();
});

it('copies the image of a workload and swaps it', async () => {
  const web = addWorkload();
  await settle(web);
  expect(imagesOf(web)).toEqual([COPY]);
  expect(told).toMatchObject([{ reason: 'ImageSwapped' }]);
});

it('does nothing to a workload that runs from the backup, and asks nobody about it', async () => {
  const web = addWorkload({ slots: [aSlot(COPY)] });
  await settle(web);
  expect([podLists, registry.uploads, told.length]).toEqual([0, 0, 0]);
});

it('swaps to the digest that runs when the tag has moved', async () => {
  const web = addWorkload();
  registry.put(parseReference('nginx:1.27'), OTHER_DIGEST);
  pods = [aPodOf(web, DIGEST)];
  await settle(web);
  expect(imagesOf(web)).toEqual([COPY]);
});

it('leaves a workload alone whose source image is missing, and says so', async () => {
  const web = addWorkload({ slots: [aSlot('nginx:9')] });
  await settle(web);
  expect(imagesOf(web)).toEqual(['nginx:9']);
  expect(told).toMatchObject([{ type: 'Warning', reason: 'CopyFailed' }]);
});

it('makes a copy again that has vanished between the copying and the swap', async () => {
  const web = addWorkload({ rollout: { available: 1 } });
  await settle(web);
  registry.digests.delete(`backup.example/p/docker.io/library/nginx@${DIGEST}`);
  registry.digests.delete('backup.example/p/docker.io/library/nginx:1.27--3f2a9c1b4d5e');
  await settle(addWorkload());
  expect(registry.uploads).toBe(2);
  expect(imagesOf(web)).toEqual([COPY]);
});

it('does not swap when the backup cannot be asked', async () => {
  const web = addWorkload({ rollout: { available: 1 } });
  await settle(web);
  addWorkload();
  registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'backup' });
  await expect(settle(web)).rejects.toThrow('down');
  expect(imagesOf(web)).toEqual(['nginx:1.27']);
});

it('keeps an image that somebody changed during the copy', async () => {
  const web = addWorkload();
  const { copy } = registry;
  registry.copy = async (job) => {
    await copy.call(registry, job);
    addWorkload({ slots: [aSlot('nginx:1.28')], resourceVersion: '101' });
  };
  await settle(web);
  expect(imagesOf(web)).toEqual(['nginx:1.28']);
});

it('says which policy refuses a swap, and gives the place back', async () => {
  const web = addWorkload();
  denial = new WriteDeniedError('admission webhook "policy.example" denied the request');
  await expect(settle(web)).rejects.toThrow(WriteDeniedError);
  expect(told).toMatchObject([{ reason: 'SwapDenied', note: expect.stringMatching(/policy\.example/) }]);
  expect(world.budget.countRolling()).toBe(0);
});

it('rolls no more workloads at a time than allowed, and goes on when one is done', async () => {
  world = buildWorld({ MAX_CONCURRENT_ROLLOUTS: '1' });
  const [a, b] = [addWorkload({ name: 'a' }), addWorkload({ name: 'b' })];
  await settle(a, b);
  expect([...imagesOf(a), ...imagesOf(b)].filter((image) => image === COPY)).toHaveLength(1);
  const first = imagesOf(a)[0] === COPY ? a : b;
  world.budget.observe(
    formatWorkloadKey(first),
    aWorkload({ ...first, rollout: { generation: 2, observedGeneration: 2 } }),
  );
  await settle();
  expect([...imagesOf(a), ...imagesOf(b)]).toEqual([COPY, COPY]);
});

it('keeps the copy of a swapped workload wanted, and tells once that it had to be made again', async () => {
  const web = addWorkload();
  pods = [aPodOf(web, DIGEST)];
  await settle(web);
  const swapped = cluster.get(formatWorkloadKey(web)) as Workload;
  cluster.set(formatWorkloadKey(web), { ...swapped, annotations: annotations as Record<string, string> });
  await settle(web);
  expect(world.copies.countPhases()).toEqual({ pending: 0, verified: 1, failed: 0 });

  registry.digests.delete('backup.example/p/docker.io/library/nginx:1.27--3f2a9c1b4d5e');
  wallMs += 3_600_000;
  world.copyKeys.add(`docker.io/library/nginx:1.27 running ${DIGEST}`);
  await settle();
  await settle(web);
  expect(registry.uploads).toBe(2);
  expect(told.map(({ reason }) => reason)).toEqual(['ImageSwapped', 'CopyMissing']);
});

it('forgets a workload that is deleted', async () => {
  const web = addWorkload({ rollout: { available: 1 } });
  await settle(web);
  cluster.clear();
  await settle(web);
  expect(world.copies.countPhases()).toEqual({ pending: 0, verified: 0, failed: 0 });
});
