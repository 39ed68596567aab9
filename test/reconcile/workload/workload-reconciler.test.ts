import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';

import { ConflictError, RegistryError, WriteDeniedError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/images/reference.ts';
import { createCopyReconciler } from '../../../src/reconcile/copies/copy-reconciler.ts';
import { CopyStore } from '../../../src/reconcile/copies/copy-store.ts';
import { WorkloadMemories } from '../../../src/reconcile/memory/workload-memories.ts';
import type { ObjectEvent } from '../../../src/reconcile/events/object-event.ts';
import type { WorkloadPatch } from '../../../src/reconcile/ports.ts';
import { createWorkloadReconciler } from '../../../src/reconcile/workload/workload-reconciler.ts';
import { NO_WATCHED_PODS } from '../../../src/reconcile/workload/watched-pods.ts';
import { formatWorkloadKey } from '../../../src/workloads/kinds.ts';
import { slotKey } from '../../../src/workloads/record.ts';
import type { FormerTemplate, Pod, Workload } from '../../../src/workloads/workload.ts';
import { aBudget } from '../../support/a-budget.ts';
import {
  DIGEST,
  OTHER_DIGEST,
  aPodOf,
  aSlot,
  aWorkload,
  annotationsOf,
  patchAnnotations,
  someSettings,
} from '../../support/builders.ts';
import { MemoryRegistry } from '../../support/memory-registry.ts';
import { NO_PULL_SECRETS } from '../../support/no-pull-secrets.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const signal = new AbortController().signal;
/** Collects what MODE=observe says. */
const log = pino({ base: null }, { write: (line: string) => collect(line) });
const nowMs = () => wallMs;

let wallMs: number;
let cluster: Map<string, Workload>;
let pods: readonly Pod[];
let podLists: number;
let nodeLists: number;
let formers: () => readonly FormerTemplate[];
let released: string[];
let releaseDenial: Error | undefined;
let denial: Error | undefined;
/** What admission makes of an image. */
let admit: (image: string) => string;
let nodePlatforms: readonly string[];
let wantedSecret: string | undefined;
/** Of the last patch. */
let annotations: WorkloadPatch['annotations'];
let told: ObjectEvent[];
let observations: unknown[];
let namespacePolicies: Map<string, string>;
let registry: MemoryRegistry;
let world: ReturnType<typeof buildWorld>;

function collect(line: string): void {
  const { would } = JSON.parse(line) as { readonly would?: unknown };
  observations.push(...(would === undefined ? [] : [would]));
}

/** The loop over a cluster in memory; what it does not prove, the integration tests do. */
function buildWorld(data: Record<string, string> = {}) {
  const settings = () => someSettings(data);
  const copyKeys = new Set<string>();
  const workloadKeys = new Set<string>();
  const copies = new CopyStore({
    onWanted: (key) => copyKeys.add(key),
    onSettled: (key) => workloadKeys.add(key),
  });
  const budget = aBudget(settings, { nowMs, onFree: (key) => workloadKeys.add(key) });
  const reconcileCopy = createCopyReconciler({
    copies,
    registry,
    settings,
    log,
    nowMs,
    random: () => 0.5,
    onCopied: () => undefined,
  });
  const memories = new WorkloadMemories(nowMs);
  const reconcileWorkload = createWorkloadReconciler({
    workloads: {
      get: (name) => cluster.get(formatWorkloadKey(name)),
      list: () => [...cluster.values()],
      findNamespacePolicy: (namespace) => namespacePolicies.get(namespace),
    },
    pods: NO_WATCHED_PODS,
    client: {
      listPods: async () => {
        podLists += 1;
        return pods;
      },
      listNodePlatforms: async () => {
        nodeLists += 1;
        return nodePlatforms;
      },
      listFormerTemplates: async () => formers(),
      releaseImages: async ({ name }) => {
        if (releaseDenial) {
          throw releaseDenial;
        }
        released.push(name);
      },
      dryRunPatch: async (_, { slots }) => ({
        slots: slots.map((slot) => ({ ...aSlot(admit(slot.image)), place: slot.place, name: slot.name })),
        pod: { is: 'not permitted' },
      }),
      patch: async (workload, patch) => patchWorkload(workload, patch),
      patchPod: async () => undefined,
    },
    registry,
    copies,
    budget,
    memories,
    pullSecrets: { ...NO_PULL_SECRETS.secrets, wanted: wantedSecret },
    events: { record: (_, event) => told.push(event) },
    settings,
    log,
    nowMs,
    onSwapped: () => undefined,
  });
  return { copies, budget, memories, copyKeys, workloadKeys, reconcileCopy, reconcileWorkload };
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
    annotations: patchAnnotations(live.annotations, patch.annotations),
    slots: live.slots.map((slot) => ({ ...slot, image: images.get(slotKey(slot)) ?? slot.image })),
  });
}

function imagesOf(workload: Workload): readonly string[] {
  return cluster.get(formatWorkloadKey(workload))?.slots.map((slot) => slot.image) ?? [];
}

const lookAt = (one: Workload) => world.reconcileWorkload(formatWorkloadKey(one), signal);

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
  wantedSecret = undefined;
  nodeLists = 0;
  formers = () => [];
  released = [];
  releaseDenial = undefined;
  denial = undefined;
  admit = (image) => image;
  nodePlatforms = ['linux/amd64', 'linux/arm64'];
  told = [];
  observations = [];
  namespacePolicies = new Map();
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

it('looks after an image of the backup that nobody has recorded, and says so once', async () => {
  registry.put(parseReference(COPY), DIGEST);
  const web = addWorkload({ slots: [aSlot(COPY)] });
  pods = [aPodOf(web, DIGEST, { containers: [{ name: 'app', image: COPY, imageId: COPY }] })];
  await settle(web, web);
  expect([registry.uploads, imagesOf(web)]).toEqual([0, [COPY]]);
  expect(told).toMatchObject([{ reason: 'CopyUnexplained' }]);
  expect(world.copies.countPhases()).toMatchObject({ unexplained: 1, verified: 0 });
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
    const amounts = await copy.call(registry, job);
    addWorkload({ slots: [aSlot('nginx:1.28')], resourceVersion: '101' });
    return amounts;
  };
  await settle(web);
  expect(imagesOf(web)).toEqual(['nginx:1.28']);
});

it('does not begin a swap of which admission would make another', async () => {
  admit = (image) => image.replace('backup.example', 'mirror.example');
  const web = addWorkload();
  await settle(web);
  expect(imagesOf(web)).toEqual(['nginx:1.27']);
  expect(told).toMatchObject([
    {
      reason: 'SwapDenied',
      note: expect.stringMatching(/would change the image of app to "mirror\.example\//),
    },
  ]);
  expect(world.budget.countRolling()).toBe(0);
});

describe('a swap that the API server refuses', () => {
  const refusal = new WriteDeniedError('admission webhook "policy.example" denied the request');

  beforeEach(async () => {
    denial = refusal;
    await settle(addWorkload());
  });

  it('is told with the policy that refuses it, and takes no permit', () => {
    expect(told).toMatchObject([{ reason: 'SwapDenied', note: expect.stringMatching(/policy\.example/) }]);
    expect(world.budget.countRolling()).toBe(0);
  });

  it('is not tried again before an hour has passed', async () => {
    denial = undefined;
    const web = addWorkload({ resourceVersion: '101' });
    wallMs += 3_599_000;
    expect(await lookAt(web)).toEqual({ requeueAfterMs: 1_000 });
    expect(imagesOf(web)).toEqual(['nginx:1.27']);
    wallMs += 1_000;
    await settle(web);
    expect(imagesOf(web)).toEqual([COPY]);
  });

  it('waits for no longer when it is refused again: policies change', async () => {
    wallMs += 3_600_000;
    const web = addWorkload();
    expect(await lookAt(web)).toEqual({ requeueAfterMs: 3_600_000 });
  });

  it('is tried again with another image', async () => {
    denial = undefined;
    registry.put(parseReference('nginx:1.28'), OTHER_DIGEST);
    const web = addWorkload({ slots: [aSlot('nginx:1.28')] });
    await settle(web);
    expect(imagesOf(web)).not.toEqual(['nginx:1.28']);
  });

  it('is tried again when the user says something else in an annotation', async () => {
    denial = undefined;
    const web = addWorkload({ annotations: { 'backup-image-registry/refresh': 'now' } });
    await settle(web);
    expect(imagesOf(web)).toEqual([COPY]);
  });

  it('keeps nobody else from being swapped, because it has changed nothing', async () => {
    for (const namespace of ['b', 'c']) {
      await settle(addWorkload({ namespace }));
    }
    denial = undefined;
    const web = addWorkload({ namespace: 'd' });
    await settle(web);
    expect(imagesOf(web)).toEqual([COPY]);
    expect(told.map(({ reason }) => reason)).toEqual([
      'SwapDenied',
      'SwapDenied',
      'SwapDenied',
      'ImageSwapped',
    ]);
  });
});

describe('a workload that cannot pull its original', () => {
  const stuckPod = (web: Workload, image = 'nginx:1.27'): Pod => {
    const waiting = { reason: 'ErrImagePull', message: 'manifest unknown' };
    return { ...aPodOf(web, ''), ready: false, containers: [{ name: 'app', image, imageId: '', waiting }] };
  };
  let web: Workload;

  beforeEach(async () => {
    await settle(addWorkload({ namespace: 'elsewhere' }));
    told = [];
    registry.digests.delete('docker.io/library/nginx:1.27');
    web = addWorkload({ rollout: { available: 0, updated: 1 } });
    pods = [stuckPod(web)];
  });

  it('is rescued with the last copy that the backup has, although it is not ready and no permit is free', async () => {
    for (const namespace of ['x', 'y', 'z', 'u', 'v']) {
      world.budget.tryReserve(namespace, aWorkload({ namespace }), { isUrgent: true });
    }
    await settle(web);
    expect(imagesOf(web)).toEqual([COPY]);
    expect(told).toMatchObject([
      { type: 'Warning', reason: 'Rescued', note: expect.stringMatching(/ErrImagePull: manifest unknown/) },
    ]);
  });

  it('is rescued when its registry is dead', async () => {
    registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'source' });
    await settle(web);
    expect(imagesOf(web)).toEqual([COPY]);
  });

  it('is not when nobody shows that it could ever read the image', async () => {
    registry.privateHosts.add('docker.io');
    await settle(web);
    expect(imagesOf(web)).toEqual(['nginx:1.27']);
    expect(told).toMatchObject([{ type: 'Warning', reason: 'NotRescued' }]);
  });

  it('is when another pod of it runs that very image', async () => {
    registry.privateHosts.add('docker.io');
    pods = [stuckPod(web), aPodOf(web, DIGEST)];
    await settle(web);
    expect(imagesOf(web)).toEqual([COPY]);
  });

  it('is not while it is held because the copy could not be run', async () => {
    const hold = { untilMs: wallMs + 1_000, failures: 1, images: new Map([['app', 'nginx:1.27']]) };
    const none = { originals: new Map(), copies: new Map(), before: new Map(), swappedAtMs: wallMs };
    const annotated = { ...web, annotations: annotationsOf({ ...none, hold }) };
    addWorkload(annotated);
    await settle(annotated);
    expect(imagesOf(web)).toEqual(['nginx:1.27']);
  });

  it('is not when it got over that while the copy was looked for', async () => {
    await lookAt(web);
    pods = [aPodOf(web, OTHER_DIGEST)];
    await settle(web);
    expect(imagesOf(web)).toEqual(['nginx:1.27']);
  });

  it('is noticed although its status says nothing new', async () => {
    pods = [];
    registry.failure = new RegistryError('no', { reason: 'Unauthorized', side: 'source' });
    await settle(web);
    expect(await lookAt(web)).toEqual({ requeueAfterMs: 30_000 });
    pods = [stuckPod(web)];
    wallMs += 30_000;
    await settle(web);
    expect(imagesOf(web)).toEqual([COPY]);
  });
});

it('asks for no pods of a workload that is rolled out and runs from the backup, but for a pull secret', async () => {
  const web = addWorkload();
  await settle(web);
  const swapped = cluster.get(formatWorkloadKey(web)) as Workload;
  addWorkload({ ...swapped, annotations: annotations as Record<string, string> });
  // Until they were seen to run the copies.
  pods = [aPodOf(swapped, DIGEST)];
  await settle(web);
  const listed = podLists;
  await settle(web);
  expect(podLists).toBe(listed);
  // A swap to a copy of another digest would write the first entry, and only pods show what that takes away.
  wantedSecret = 'pull';
  world = buildWorld();
  await settle(web);
  expect(podLists).toBeGreaterThan(listed);
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
  expect(world.copies.countPhases()).toEqual({ pending: 0, verified: 1, failed: 0, unexplained: 0 });

  registry.digests.delete('backup.example/p/docker.io/library/nginx:1.27--3f2a9c1b4d5e');
  wallMs += 3_600_000;
  world.copyKeys.add(`docker.io/library/nginx:1.27 holding ${DIGEST}`);
  await settle();
  await settle(web);
  expect(registry.uploads).toBe(2);
  expect(told.map(({ reason }) => reason)).toEqual(['ImageSwapped', 'CopyMissing']);
});

describe('an original that is put back', () => {
  /** Swapped, and then written to by `manager`; with `keeps`, our annotations are still there. */
  async function putBack(manager: string, { keeps = true } = {}): Promise<Workload> {
    const web = addWorkload();
    await settle(web);
    formers = () => [{ slots: [aSlot(COPY)], annotations: annotations as Record<string, string> }];
    return addWorkload({
      annotations: keeps ? (annotations as Record<string, string>) : {},
      imageOwners: [{ manager, isApply: false }],
      rollout: { generation: 3, updated: 0 },
      resourceVersion: '200',
    });
  }
  const statusOf = (): unknown => JSON.parse(annotations['backup-image-registry/status'] ?? '');

  it('is swapped again although the workload still rolls out', async () => {
    const web = await putBack('acme-operator');
    await settle(web);
    expect(imagesOf(web)).toEqual([COPY]);
    expect(statusOf()).toMatchObject({ reverts: { count: 1 } });
  });

  it('is not swapped again before the backup has proven the copy', async () => {
    const web = await putBack('acme-operator');
    registry.digests.clear();
    registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'backup' });
    await settle(web);
    expect(imagesOf(web)).toEqual(['nginx:1.27']);
  });

  it('by a person is respected, with an annotation and an event', async () => {
    const web = await putBack('kubectl');
    await settle(web);
    expect(imagesOf(web)).toEqual(['nginx:1.27']);
    expect(statusOf()).toMatchObject({ reverts: { holds: 1, until: '2023-11-15T22:13:20.000Z' } });
    expect(told.map(({ reason }) => reason)).toEqual(['ImageSwapped', 'SwapReverted']);
  });

  it('by a person is respected although our annotations are gone', async () => {
    await putBack('kubectl', { keeps: false });
    const web = addWorkload({
      imageOwners: [{ manager: 'kubectl', isApply: false }],
      rollout: { generation: 3, observedGeneration: 3 },
      resourceVersion: '300',
    });
    await settle(web);
    expect(imagesOf(web)).toEqual(['nginx:1.27']);
    expect(statusOf()).toMatchObject({ copies: { app: COPY }, reverts: { holds: 1 } });
  });
});

it('gives the images back where they are not to be ours, and goes on when that is forbidden', async () => {
  const web = addWorkload({ ownFieldsAt: 1, rollout: { paused: true } });
  await settle(web);
  expect(released).toContain('web');
  releaseDenial = new WriteDeniedError('forbidden');
  await settle(web);
  releaseDenial = new ConflictError('changed');
  await expect(settle(web)).rejects.toThrow(ConflictError);
});

it('forgets a workload that is deleted', async () => {
  const web = addWorkload({ rollout: { available: 1 } });
  await settle(web);
  cluster.clear();
  await settle(web);
  expect(world.copies.countPhases()).toEqual({ pending: 0, verified: 0, failed: 0, unexplained: 0 });
});

it('hints at credentials when the backup wants some and the template names none', async () => {
  registry.privateHosts.add('backup.example');
  await settle(addWorkload(), addWorkload({ namespace: 'lab', pullSecrets: ['mine'] }));
  const notes = told.map(({ note }) => note.includes('PULL_SECRET has to be set'));
  expect(notes).toEqual([true, false]);
});

describe('with another MODE', () => {
  function putSwapped(parts: Parameters<typeof aWorkload>[0] = {}): Workload {
    const record = {
      originals: new Map([['app', 'nginx:1.27']]),
      copies: new Map([['app', COPY]]),
      before: new Map([['app', 'nginx:1.27']]),
      swappedAtMs: wallMs,
    };
    return addWorkload({ slots: [aSlot(COPY)], annotations: annotationsOf(record), ...parts });
  }

  it('observe asks no registry and changes nothing', async () => {
    world = buildWorld({ MODE: 'observe' });
    const web = addWorkload();
    await settle(web, putSwapped({ name: 'swapped', rollout: { available: 0 } }));
    expect([podLists, registry.uploads, told.length]).toEqual([0, 0, 0]);
    expect(world.copies.countPhases()).toEqual({ pending: 0, verified: 0, failed: 0, unexplained: 0 });
    expect(imagesOf(web)).toEqual(['nginx:1.27']);
  });

  it('observe says once what it would do, and again when that is something else', async () => {
    world = buildWorld({ MODE: 'observe' });
    await settle(addWorkload());
    await settle(addWorkload({ resourceVersion: '101' }));
    expect(observations).toEqual([
      [expect.stringMatching(/^copy docker\.io\/library\/nginx:1\.27 of app to .* run it from there$/)],
    ]);
    await settle(addWorkload({ slots: [aSlot('nginx:1.28')] }));
    expect(observations).toHaveLength(2);
  });

  it('restore puts the originals back without a registry, and says so', async () => {
    world = buildWorld({ MODE: 'restore' });
    registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'backup' });
    const web = putSwapped({ rollout: { available: 0 } });
    await settle(web, addWorkload({ name: 'never-swapped' }));
    expect(imagesOf(web)).toEqual(['nginx:1.27']);
    expect([podLists, world.copies.countPhases().pending]).toEqual([0, 0]);
    expect(annotations).toEqual({
      'backup-image-registry/original-images': null,
      'backup-image-registry/status': null,
    });
    expect(told).toMatchObject([{ reason: 'ImageRestored', note: expect.stringMatching(/app from nginx/) }]);
  });

  it.each(['restore', 'observe'])(
    '%s does not ask for nodes, which it may not be allowed to',
    async (mode) => {
      world = buildWorld({ MODE: mode, PLATFORMS: 'linux/amd64' });
      await settle(putSwapped(), addWorkload({ name: 'never-swapped' }));
      expect(nodeLists).toBe(0);
    },
  );

  it('restore keeps to the rollout budget until the rollout is over, and lets pass what is stuck', async () => {
    world = buildWorld({ MODE: 'restore', MAX_CONCURRENT_ROLLOUTS: '1' });
    const [a, b] = [putSwapped({ name: 'a' }), putSwapped({ name: 'b' })];
    const stuck = putSwapped({ name: 'stuck', rollout: { available: 0 } });
    await settle(a, b, stuck);
    expect([a, b, stuck].map((one) => imagesOf(one)[0])).toEqual(['nginx:1.27', COPY, 'nginx:1.27']);
    for (const done of [a, stuck]) {
      const rolling = { ...done, rollout: { generation: 2, observedGeneration: 2, updated: 1 } };
      world.budget.observe(formatWorkloadKey(done), aWorkload(rolling));
    }
    await settle();
    expect(imagesOf(b)).toEqual([COPY]);
    for (const done of [a, stuck]) {
      const rolledOut = { ...done, rollout: { generation: 2, observedGeneration: 2 } };
      world.budget.observe(formatWorkloadKey(done), aWorkload(rolledOut));
    }
    await settle();
    expect(imagesOf(b)).toEqual(['nginx:1.27']);
  });

  it('restore lets others wait while something that was stuck is rolling out', async () => {
    world = buildWorld({ MODE: 'restore', MAX_CONCURRENT_ROLLOUTS: '1' });
    const web = putSwapped();
    await settle(putSwapped({ name: 'stuck', rollout: { available: 0 } }), web);
    expect(imagesOf(web)).toEqual([COPY]);
  });

  it('restore says which policy refuses the originals, and gives the permit back', async () => {
    world = buildWorld({ MODE: 'restore' });
    denial = new WriteDeniedError('admission webhook "policy.example" denied the request');
    await expect(settle(putSwapped())).rejects.toThrow(WriteDeniedError);
    expect(told).toMatchObject([{ reason: 'RestoreDenied', note: expect.stringMatching(/policy\.example/) }]);
    expect(world.budget.countRolling()).toBe(0);
  });

  it('leaves alone what the namespace says is to be ignored', async () => {
    namespacePolicies.set('shop', 'ignore');
    const web = addWorkload();
    await settle(web);
    expect([imagesOf(web), registry.uploads, podLists]).toEqual([['nginx:1.27'], 0, 0]);
  });
});

it('looks at a copy again when its workload asks for it', async () => {
  const missing = { slots: [aSlot('nginx:9')], resourceVersion: '100' };
  const web = addWorkload(missing);
  await settle(web);
  registry.put(parseReference('nginx:9'), OTHER_DIGEST);
  await settle(web);
  expect(imagesOf(web)).toEqual(['nginx:9']);
  await settle(addWorkload({ ...missing, annotations: { 'backup-image-registry/refresh': 'now' } }));
  expect(imagesOf(web)).toEqual([`backup.example/p/docker.io/library/nginx:9@${OTHER_DIGEST}`]);
});

it('looks at a copy again after a rollout, be it over before anybody looks', async () => {
  const missing = { slots: [aSlot('nginx:9')], resourceVersion: '100' };
  const web = addWorkload(missing);
  await settle(web);
  registry.put(parseReference('nginx:9'), OTHER_DIGEST);
  world.memories.observe(formatWorkloadKey(web), aWorkload({ ...missing, rollout: { updated: 0 } }));
  world.memories.observe(formatWorkloadKey(web), web);
  await settle(web);
  expect(imagesOf(web)).toEqual([`backup.example/p/docker.io/library/nginx:9@${OTHER_DIGEST}`]);
});

it('loses no wish for another look when a pass fails', async () => {
  const slots = [aSlot('nginx:1.27'), aSlot('nginx:9', { name: 'side' })];
  const rollout = { generation: 2, observedGeneration: 2 };
  // The copy of one slot is verified, that of the other has failed: a swap is due, and the list of ReplicaSets with it.
  const policy = { 'backup-image-registry/policy': 'copy' };
  await settle(addWorkload({ name: 'other', slots, annotations: policy }));
  const imageOwners = [{ manager: 'helm', isApply: true }];
  const wish = { 'backup-image-registry/refresh': 'now' };
  const web = addWorkload({ slots, rollout, imageOwners, annotations: wish });
  registry.put(parseReference('nginx:9'), OTHER_DIGEST);
  formers = () => expect.fail('no answer');
  await expect(settle(web)).rejects.toThrow('no answer');
  formers = () => [];
  await settle(web);
  expect(imagesOf(web)).toEqual([COPY, `backup.example/p/docker.io/library/nginx:9@${OTHER_DIGEST}`]);
});
