import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';

import { RegistryError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/images/reference.ts';
import { createCopyReconciler } from '../../../src/reconcile/copies/copy-reconciler.ts';
import type { CopyRequest } from '../../../src/reconcile/copies/copy-state.ts';
import { CopyStore, copyKey } from '../../../src/reconcile/copies/copy-store.ts';
import { DIGEST, OTHER_DIGEST, someSettings } from '../../support/builders.ts';
import { MemoryRegistry } from '../../support/memory-registry.ts';

const NGINX: CopyRequest = { source: parseReference('nginx:1.27'), isProven: false };
const COPY = 'backup.example/p/docker.io/library/nginx';
const NOW_MS = 1_700_000_000_000;

let registry: MemoryRegistry;
let copies: CopyStore;
let data: Record<string, string>;
let outcomes: string[];
let logged: object[];

beforeEach(() => {
  registry = new MemoryRegistry({});
  registry.put(parseReference('nginx:1.27'), DIGEST);
  copies = new CopyStore({ onWanted: () => undefined, onSettled: () => undefined });
  data = {};
  outcomes = [];
  logged = [];
});

async function reconcile(request: CopyRequest): Promise<{ requeueAfterMs?: number }> {
  copies.want('Deployment/shop/web', [request]);
  const reconcileCopy = createCopyReconciler({
    copies,
    registry,
    settings: () => someSettings(data),
    log: pino({}, { write: (line) => void logged.push(JSON.parse(line) as object) }),
    nowMs: () => NOW_MS,
    random: () => 0.5,
    onCopied: (result) => outcomes.push(result),
  });
  return reconcileCopy(copyKey(request), new AbortController().signal);
}

it('copies an image under a tag that stays and under the tag that people know', async () => {
  await reconcile(NGINX);
  expect(registry.digests.get(`${COPY}:1.27--3f2a9c1b4d5e`)).toBe(DIGEST);
  expect(registry.digests.get(`${COPY}:1.27`)).toBe(DIGEST);
  expect(copies.get(NGINX)).toEqual({
    phase: 'verified',
    digest: DIGEST,
    image: `${COPY}:1.27@${DIGEST}`,
    provenAtMs: NOW_MS,
    copiedAtMs: NOW_MS,
  });
});

it('says in the log how much was sent, and how much the backup had elsewhere', async () => {
  registry.amounts = { layersSent: 2, bytesSent: 700, layersMounted: 3, bytesMounted: 9_000 };
  await reconcile(NGINX);
  expect(logged).toContainEqual(expect.objectContaining({ msg: 'copy verified', ...registry.amounts }));
});

it('uploads nothing that is there already', async () => {
  await reconcile(NGINX);
  copies.clear();
  await reconcile(NGINX);
  expect(registry.uploads).toBe(1);
  expect(outcomes).toEqual(['copied', 'found']);
});

describe('a source that gives no answer', () => {
  const later = { reason: 'Timeout', side: 'source', retryAtMs: NOW_MS + 20_000 } as const;

  it('is asked again when its pause is over', async () => {
    registry.failure = new RegistryError('gives no answer', later);
    expect(await reconcile(NGINX)).toEqual({ requeueAfterMs: 20_000 });
    expect(copies.get(NGINX)).toMatchObject({ phase: 'failed', message: 'gives no answer', isFinal: false });
  });

  it('is told once: what was not asked is no news', async () => {
    registry.failure = new RegistryError('no answer in 30000 ms', { reason: 'Timeout', side: 'source' });
    await expect(reconcile(NGINX)).rejects.toThrow('no answer in 30000 ms');
    registry.failure = new RegistryError('gives no answer', later);
    expect(await reconcile(NGINX)).toEqual({ requeueAfterMs: 20_000 });
    expect(copies.get(NGINX)).toMatchObject({ phase: 'failed', message: 'no answer in 30000 ms' });
    expect(outcomes).toEqual(['failed']);
  });
});

it('backs up what runs, not what the tag has moved to', async () => {
  registry.put(parseReference('nginx:1.27'), OTHER_DIGEST);
  const request = { ...NGINX, digest: DIGEST, isProven: true };
  await reconcile(request);
  expect(copies.get(request)).toMatchObject({ phase: 'verified', digest: DIGEST });
});

it('does not believe a tag when the image behind it was missed before', async () => {
  await reconcile(NGINX);
  registry.digests.delete(`${COPY}@${DIGEST}`);
  copies.distrust(NGINX, NOW_MS);
  await expect(reconcile(NGINX)).rejects.toThrow(/has the tag of the copy, but not/);
  expect(copies.get(NGINX)).toMatchObject({ phase: 'failed', side: 'backup', sinceMs: NOW_MS });
});

it('looks at all parts of a copy that had to be taken out of a workload, and copies what is missing', async () => {
  await reconcile(NGINX);
  copies.clear();
  registry.missingParts.set(DIGEST, 'the manifest for linux/amd64');
  await reconcile(NGINX);
  expect(copies.get(NGINX)).not.toHaveProperty('isCompleted');
  copies.clear();
  const doubted = { ...NGINX, isDoubted: true };
  await reconcile(doubted);
  expect(copies.get(doubted)).toMatchObject({ phase: 'verified', isCompleted: true });
  expect(registry.missingParts.has(DIGEST)).toBe(false);
});

it('is done with an image that is a copy by the settings of now', async () => {
  const source = parseReference('backup.example/former/app:1');
  registry.put(source, DIGEST);
  const ended = reconcile({ source, isProven: false });
  copies.clear();
  data = { REGISTRY_PREFIX: 'backup.example/former' };
  expect(await ended).toEqual({});
});

describe('an image that needs credentials', () => {
  beforeEach(() => {
    registry.privateHosts.add('docker.io');
  });

  it('is not copied before a ready pod proves that the workload may read it', async () => {
    await reconcile(NGINX);
    expect(copies.get(NGINX)).toEqual({ phase: 'pending' });
    expect(registry.uploads).toBe(0);
  });

  it('is a failure once the workload runs and no pod shows it', async () => {
    const request = { ...NGINX, isUnprovable: true };
    await reconcile(request);
    expect(copies.get(request)).toMatchObject({ phase: 'failed', reason: 'Unauthorized', isFinal: true });
    expect(registry.uploads).toBe(0);
  });

  it('is copied once it runs', async () => {
    await reconcile({ ...NGINX, digest: DIGEST, isProven: true });
    expect(registry.uploads).toBe(1);
  });
});

describe('a copy to the rescue', () => {
  const RESCUE: CopyRequest = { ...NGINX, isRescue: true };

  beforeEach(async () => {
    await reconcile(NGINX);
  });

  it('is that of what the source means now, if it answers', async () => {
    registry.put(parseReference('nginx:1.27'), OTHER_DIGEST);
    await reconcile(RESCUE);
    expect(copies.get(RESCUE)).toEqual({
      phase: 'verified',
      provenAtMs: NOW_MS,
      digest: OTHER_DIGEST,
      image: `${COPY}:1.27@${OTHER_DIGEST}`,
      isPublic: true,
    });
  });

  it.each<[string, () => unknown]>([
    ['a whole one from before platforms were listed', () => undefined],
    [
      'that of the listed platforms',
      async () => {
        registry.digests.clear();
        registry.put(NGINX.source, DIGEST);
        await reconcile(NGINX);
      },
    ],
  ])('is %s, unless a part of it is missing', async (_, prepare) => {
    data = { PLATFORMS: 'linux/amd64' };
    await prepare();
    registry.digests.delete('docker.io/library/nginx:1.27');
    await reconcile(RESCUE);
    expect(copies.get(RESCUE)).toMatchObject({ phase: 'verified', digest: DIGEST });
    copies.clear();
    registry.missingParts.set(DIGEST, 'the manifest for linux/amd64');
    await reconcile(RESCUE);
    expect(copies.get(RESCUE)).toMatchObject({ phase: 'failed', reason: 'NotFound' });
  });

  it.each<[string, () => unknown]>([
    ['has lost it', () => registry.digests.delete('docker.io/library/nginx:1.27')],
    [
      'is dead',
      () => {
        registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'source' });
      },
    ],
  ])('is the last that the backup has when the source %s', async (_, fail) => {
    fail();
    await reconcile(RESCUE);
    expect(copies.get(RESCUE)).toMatchObject({ phase: 'verified', digest: DIGEST, isPublic: true });
  });

  it('is not public when that cannot be told any more', async () => {
    registry.privateHosts.add('docker.io');
    registry.digests.delete('docker.io/library/nginx:1.27');
    await reconcile(RESCUE);
    expect(copies.get(RESCUE)).toMatchObject({ phase: 'verified', isPublic: false });
  });

  it('is not public when the source does not say so', async () => {
    registry.isPrivate = async () => {
      throw new RegistryError('down', { reason: 'RegistryUnavailable', side: 'source' });
    };
    await reconcile(RESCUE);
    expect(copies.get(RESCUE)).toMatchObject({ phase: 'verified', isPublic: false });
  });

  it('is none while the backup cannot be asked, which is not blamed on the source', async () => {
    registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'backup' });
    await expect(reconcile(RESCUE)).rejects.toThrow('down');
    expect(copies.get(RESCUE)).toMatchObject({ phase: 'failed', side: 'backup' });
  });

  it('is none when only a hand has set the plain tag', async () => {
    registry.digests.delete('docker.io/library/nginx:1.27');
    registry.put(parseReference(`${COPY}:1.27`), OTHER_DIGEST);
    await reconcile(RESCUE);
    expect(copies.get(RESCUE)).toMatchObject({ phase: 'failed', reason: 'NotFound', side: 'source' });
  });

  it('is none when all that the backup has is the manifest of one of the platforms that pods report', async () => {
    const manifests = [DIGEST, OTHER_DIGEST];
    for (const digest of manifests) {
      registry.put({ host: 'docker.io', repository: 'library/nginx' }, digest);
      registry.parts.set(digest, { is: 'manifest' });
    }
    registry.digests.delete('docker.io/library/nginx:1.27');
    registry.digests.delete(`${COPY}:1.27`);
    await reconcile({ ...NGINX, reported: manifests });
    expect(registry.digests.get(`${COPY}:1.27--3f2a9c1b4d5e`)).toBe(DIGEST);
    expect(registry.digests.has(`${COPY}:1.27`)).toBe(false);
    await reconcile(RESCUE);
    expect(copies.get(RESCUE)).toMatchObject({ phase: 'failed', reason: 'NotFound', side: 'source' });
  });

  it('is none when the backup has none, which the source is blamed for', async () => {
    const other: CopyRequest = { source: parseReference('nginx:9'), isProven: false, isRescue: true };
    await reconcile(other);
    expect(copies.get(other)).toMatchObject({
      phase: 'failed',
      message: expect.stringMatching(/no copy of it/),
    });
  });

  it('of a pinned image is looked up by its digest', async () => {
    registry.digests.clear();
    const pinned: CopyRequest = {
      source: parseReference(`nginx@${DIGEST}`),
      isProven: false,
      isRescue: true,
    };
    registry.put(parseReference(`${COPY}:digest--3f2a9c1b4d5e`), DIGEST);
    await reconcile(pinned);
    expect(copies.get(pinned)).toMatchObject({ phase: 'verified', image: `${COPY}@${DIGEST}` });
  });
});

const RUNNING: CopyRequest = { ...NGINX, digest: DIGEST, isProven: true };

describe('a re-check', () => {
  beforeEach(async () => {
    await reconcile(RUNNING);
  });

  it('comes in the second half of the interval', async () => {
    data = { RECHECK_INTERVAL: '4h' };
    expect(await reconcile(RUNNING)).toEqual({ requeueAfterMs: 3 * 3_600_000 });
  });

  it('finds nothing new when nothing is', async () => {
    const before = copies.get(RUNNING);
    await reconcile(RUNNING);
    expect(copies.get(RUNNING)).toEqual(before);
    expect(registry.uploads).toBe(1);
  });

  it('copies again what is gone from the backup', async () => {
    registry.digests.delete(`${COPY}:1.27--3f2a9c1b4d5e`);
    await reconcile(RUNNING);
    expect(registry.uploads).toBe(2);
    expect(registry.digests.get(`${COPY}:1.27--3f2a9c1b4d5e`)).toBe(DIGEST);
  });

  it('keeps that it has copied again what is gone, whatever else pods show meanwhile', async () => {
    copies.clear();
    const starting = { ...RUNNING, isProven: false };
    registry.digests.delete(`${COPY}:1.27--3f2a9c1b4d5e`);
    const ended = reconcile(starting);
    copies.want('Deployment/shop/web', [RUNNING]);
    await ended;
    await reconcile(RUNNING);
    expect(registry.uploads).toBe(2);
    expect(copies.get(RUNNING)).toMatchObject({ phase: 'verified', copiedAtMs: NOW_MS });
  });

  it('completes a copy that lacks a part', async () => {
    registry.missingParts.set(DIGEST, OTHER_DIGEST);
    await reconcile(RUNNING);
    expect(registry.lastJob).toMatchObject({ isRepair: true });
    expect(copies.get(RUNNING)).toMatchObject({ copiedAtMs: NOW_MS, isCompleted: true });
    await reconcile(RUNNING);
    expect(registry.uploads).toBe(2);
    expect(copies.get(RUNNING)).toMatchObject({ isCompleted: true });
  });

  it('goes on looking for the parts after a repair that failed', async () => {
    registry.missingParts.set(DIGEST, OTHER_DIGEST);
    registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'source' });
    await expect(reconcile(RUNNING)).rejects.toThrow('down');
    registry.failure = undefined;
    await reconcile(RUNNING);
    expect(registry.missingParts.size).toBe(0);
  });

  it('does not publish a private image again that no pod proves to be readable', async () => {
    registry.digests.delete(`${COPY}:1.27--3f2a9c1b4d5e`);
    registry.privateHosts.add('docker.io');
    copies.clear();
    await reconcile({ ...RUNNING, isProven: false });
    expect(registry.uploads).toBe(1);
    expect(copies.get(RUNNING)).toMatchObject({ phase: 'failed', reason: 'Unauthorized' });
  });

  it('notices a source that is gone', async () => {
    registry.digests.delete('docker.io/library/nginx:1.27');
    await reconcile(RUNNING);
    expect(copies.get(RUNNING)).toMatchObject({ phase: 'verified', sourceChange: { is: 'gone' } });
  });

  it('backs up the image that the tag means now, too', async () => {
    registry.put(parseReference('nginx:1.27'), OTHER_DIGEST);
    await reconcile(RUNNING);
    expect(registry.digests.get(`${COPY}:1.27--bbbbbbbbbbbb`)).toBe(OTHER_DIGEST);
    expect(registry.digests.get(`${COPY}:1.27--3f2a9c1b4d5e`)).toBe(DIGEST);
    expect(copies.get(RUNNING)).toMatchObject({
      digest: DIGEST,
      sourceChange: { is: 'moved', copy: { digest: OTHER_DIGEST, image: `${COPY}:1.27@${OTHER_DIGEST}` } },
    });
  });

  it('does not look at the source when ON_SOURCE_CHANGE is ignore', async () => {
    data = { ON_SOURCE_CHANGE: 'ignore' };
    registry.digests.delete('docker.io/library/nginx:1.27');
    await reconcile(RUNNING);
    expect(copies.get(RUNNING)).not.toHaveProperty('sourceChange');
  });

  it('leaves the copy verified when the source cannot be asked', async () => {
    registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'source' });
    await reconcile(RUNNING);
    expect(copies.get(RUNNING)).toMatchObject({ phase: 'verified' });
  });
});

describe('a copy without its signatures', () => {
  const amounts = { layersSent: 1, bytesSent: 2, layersMounted: 0, bytesMounted: 0 };

  it('is a copy, and they are tried again with the next look', async () => {
    registry.amounts = { ...amounts, referrersProblem: 'tags/list: 401' };
    await reconcile(NGINX);
    expect(copies.get(NGINX)).toMatchObject({ phase: 'verified', referrersProblem: 'tags/list: 401' });
    await reconcile(NGINX);
    expect(copies.get(NGINX)).toMatchObject({ referrersProblem: 'tags/list: 401' });
    registry.amounts = amounts;
    await reconcile(NGINX);
    expect(copies.get(NGINX)).toMatchObject({ phase: 'verified', copiedAtMs: NOW_MS });
    expect(copies.get(NGINX)).not.toHaveProperty('referrersProblem');
    const { uploads } = registry;
    await reconcile(NGINX);
    expect(registry.uploads).toBe(uploads);
  });

  it('stays one when they cannot be had at all', async () => {
    registry.amounts = { ...amounts, referrersProblem: 'tags/list: 401' };
    await reconcile({ ...NGINX, digest: DIGEST });
    registry.digests.delete(`docker.io/library/nginx@${DIGEST}`);
    await reconcile({ ...NGINX, digest: DIGEST });
    expect(copies.get({ ...NGINX, digest: DIGEST })).toMatchObject({
      phase: 'verified',
      referrersProblem: 'tags/list: 401',
    });
  });
});

describe('a copy of some platforms', () => {
  beforeEach(() => {
    data = { PLATFORMS: 'linux/amd64' };
  });

  it('has a tag of its own, and the digest of the whole image', async () => {
    await reconcile(NGINX);
    expect(registry.lastJob).toMatchObject({ platforms: ['linux/amd64'] });
    expect(registry.digests.get(`${COPY}:1.27--3f2a9c1b4d5e-partial`)).toBe(DIGEST);
    expect(copies.get(NGINX)).toMatchObject({ digest: DIGEST, image: `${COPY}:1.27@${DIGEST}` });
  });

  it('is not believed to be there because its index is', async () => {
    await reconcile(NGINX);
    copies.clear();
    data = { PLATFORMS: 'linux/amd64,linux/arm64' };
    registry.missingParts.set(DIGEST, OTHER_DIGEST);
    await reconcile(NGINX);
    expect(registry.lastJob).toMatchObject({ platforms: ['linux/amd64', 'linux/arm64'], isRepair: true });
  });

  it('does not pass for a whole one once all are wanted', async () => {
    await reconcile(NGINX);
    copies.clear();
    data = {};
    await reconcile(NGINX);
    expect(registry.uploads).toBe(2);
    expect(registry.digests.get(`${COPY}:1.27--3f2a9c1b4d5e`)).toBe(DIGEST);
  });
});

describe('a failure', () => {
  it('of an image that does not exist is kept for the workloads, and looked at again in an hour', async () => {
    registry.digests.clear();
    expect(await reconcile(NGINX)).toEqual({ requeueAfterMs: 3_600_000 });
    expect(copies.get(NGINX)).toMatchObject({ phase: 'failed', reason: 'NotFound', side: 'source' });
  });

  it('of a registry that asks for patience waits as long as it said', async () => {
    const retryAtMs = NOW_MS + 90_000;
    registry.failure = new RegistryError('429', { reason: 'RateLimited', side: 'source', retryAtMs });
    expect(await reconcile(NGINX)).toEqual({ requeueAfterMs: 90_000 });
  });

  it('that may pass is left to the back-off of the queue, and ends when it has passed', async () => {
    registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'backup' });
    await expect(reconcile(NGINX)).rejects.toThrow('down');
    expect(copies.get(NGINX)).toMatchObject({ phase: 'failed', reason: 'RegistryUnavailable' });
    registry.failure = undefined;
    await reconcile(NGINX);
    expect(copies.get(NGINX)).toMatchObject({ phase: 'verified' });
  });
});
