import { pino } from 'pino';
import { NO_WATCHED_PODS } from '../../../src/reconcile/workload/watched-pods.ts';
import { beforeEach, expect, it } from 'vitest';

import { RegistryError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/images/reference.ts';
import type { PreviewProgress } from '../../../src/reconcile/preview/preview-progress.ts';
import { type Preview, preview } from '../../../src/reconcile/preview/preview.ts';
import type { Pod, Workload } from '../../../src/workloads/workload.ts';
import { DIGEST, aPodOf, aSlot, aWorkload, annotationsOf, someSettings } from '../../support/builders.ts';
import { MemoryRegistry } from '../../support/memory-registry.ts';
import { byKind, whyWaiting } from '../../support/decisions.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const IMMUTABLE = parseReference('backup.example/p/docker.io/library/nginx:1.27--3f2a9c1b4d5e');
const nowMs = 1_700_000_000_000;

let registry: MemoryRegistry;
let pods: readonly Pod[];
let podLists: number;
let progress: PreviewProgress[];

beforeEach(() => {
  registry = new MemoryRegistry({});
  registry.put(parseReference('nginx:1.27'), DIGEST);
  pods = [];
  podLists = 0;
  progress = [];
});

async function previewThese(all: readonly Workload[], selected = all, data: Record<string, string> = {}) {
  const client = {
    listNodePlatforms: async () => ['linux/amd64'],
    listFormerTemplates: async () => [],
    listPods: async () => {
      podLists += 1;
      return pods;
    },
  };
  const deps = {
    workloads: { findNamespacePolicy: () => undefined },
    pods: NO_WATCHED_PODS,
    client,
    registry,
    settings: someSettings(data),
    log: pino({ enabled: false }),
    nowMs: () => nowMs,
    onProgress: (one: PreviewProgress) => void progress.push(one),
  };
  return preview(deps, { all, selected }, new AbortController().signal);
}

function decisionOf(one: Preview | undefined): Pick<Preview['decision'], 'actions'> {
  return one?.decision ?? { actions: [] };
}

it('tells of a swap as if the missing copy had been made, and makes none', async () => {
  const before = new Map(registry.digests);
  const [one] = await previewThese([aWorkload()]);
  expect(byKind(decisionOf(one)).swap?.patch.slots).toMatchObject([{ image: COPY }]);
  expect(one?.facts.slots[0]?.copy).toMatchObject({ phase: 'verified', copiedAtMs: nowMs });
  expect([registry.uploads, registry.digests]).toEqual([0, before]);
});

it('tells a copy that is there from one that would be made', async () => {
  registry.put(IMMUTABLE, DIGEST);
  const [one] = await previewThese([aWorkload()]);
  expect(one?.facts.slots[0]?.copy).toMatchObject({ phase: 'verified', digest: DIGEST, image: COPY });
  expect(one?.facts.slots[0]?.copy).not.toHaveProperty('copiedAtMs');
});

it('knows that nothing can be copied from a source that is gone, though a pod runs it', async () => {
  registry.digests.clear();
  const web = aWorkload();
  pods = [aPodOf(web, DIGEST)];
  const [one] = await previewThese([web]);
  expect(whyWaiting(decisionOf(one))).toBe('no copy');
  expect(one?.facts.slots[0]?.copy).toMatchObject({ phase: 'failed', reason: 'NotFound' });
});

it('goes on when a registry cannot be asked, and says so', async () => {
  registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'source' });
  const [one] = await previewThese([aWorkload()]);
  expect(whyWaiting(decisionOf(one))).toBe('copying');
  expect(one?.facts.slots[0]?.copy).toMatchObject({ phase: 'failed', reason: 'RegistryUnavailable' });
});

it('copies no image that is not public without proof, and takes a ready pod for one', async () => {
  registry.privateHosts.add('docker.io');
  const web = aWorkload();
  const [unproven] = await previewThese([web]);
  expect(unproven?.facts.slots[0]?.copy).toEqual({ phase: 'pending' });
  pods = [aPodOf(web, DIGEST)];
  const [proven] = await previewThese([web]);
  expect(byKind(decisionOf(proven)).swap).toBeDefined();
});

it('asks for the pods of a workload whose copy in use cannot be made again: they may be the proof', async () => {
  registry.privateHosts.add('docker.io');
  const record = {
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', COPY]]),
    before: new Map<string, string>(),
    swappedAtMs: 1,
  };
  const web = aWorkload({ slots: [aSlot(COPY)], annotations: annotationsOf(record) });
  const imageId = `backup.example/p/docker.io/library/nginx@${DIGEST}`;
  pods = [aPodOf(web, DIGEST, { containers: [{ name: 'app', image: COPY, imageId }] })];
  const [one] = await previewThese([web]);
  expect(one?.facts.slots[0]?.copy).toMatchObject({ phase: 'verified', copiedAtMs: nowMs });
  expect(whyWaiting(decisionOf(one))).toBeUndefined();
});

it('tells how many workloads and images it has looked at, each once', async () => {
  await previewThese([aWorkload({ name: 'one' }), aWorkload({ name: 'two' })]);
  const counts = progress.map(({ workloads, images, knownImages }) => [workloads, images, knownImages]);
  expect(counts.slice(0, 3)).toEqual([
    [1, 0, 1],
    [2, 0, 1],
    [2, 1, 1],
  ]);
  expect(counts.at(-1)).toEqual([2, 1, 1]);
});

it('lists the pods of a workload once', async () => {
  await previewThese([aWorkload()]);
  expect(podLists).toBe(1);
});

it('counts the rollouts of workloads that were not selected', async () => {
  const record = {
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', COPY]]),
    before: new Map([['app', 'nginx:1.27']]),
    swappedAtMs: nowMs - 1_000,
  };
  const rolling = aWorkload({
    name: 'rolling',
    uid: 'uid-2',
    slots: [aSlot(COPY)],
    annotations: annotationsOf(record),
    rollout: { available: 1 },
  });
  const web = aWorkload();
  const [one, ...rest] = await previewThese([rolling, web], [web], { MAX_CONCURRENT_ROLLOUTS: '1' });
  expect(rest).toEqual([]);
  expect(whyWaiting(decisionOf(one))).toBe('too many rollouts');
});

it('takes a copy of some platforms for made, too, and knows which nodes it leaves out', async () => {
  registry.missingParts.set(DIGEST, 'sha256:missing');
  const [one] = await previewThese([aWorkload()], undefined, { PLATFORMS: 'linux/arm64' });
  expect(one?.facts.slots[0]?.copy).toMatchObject({ phase: 'verified', copiedAtMs: nowMs });
  expect(one?.facts.uncoveredPlatforms).toEqual(['linux/amd64']);
  expect(registry.uploads).toBe(0);
});
