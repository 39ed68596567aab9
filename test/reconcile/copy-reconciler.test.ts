import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';

import { RegistryError } from '../../src/errors.ts';
import { parseReference } from '../../src/images/reference.ts';
import { createCopyReconciler } from '../../src/reconcile/copy-reconciler.ts';
import type { CopyRequest } from '../../src/reconcile/copy-state.ts';
import { CopyStore, copyKey } from '../../src/reconcile/copy-store.ts';
import { DIGEST, OTHER_DIGEST, someSettings } from '../support/builders.ts';
import { MemoryRegistry } from '../support/memory-registry.ts';

const NGINX: CopyRequest = { source: parseReference('nginx:1.27') };
const COPY = 'backup.example/p/docker.io/library/nginx';
const NOW_MS = 1_700_000_000_000;

let registry: MemoryRegistry;
let copies: CopyStore;
let data: Record<string, string>;
let outcomes: string[];

beforeEach(() => {
  registry = new MemoryRegistry({});
  registry.put(parseReference('nginx:1.27'), DIGEST);
  copies = new CopyStore({ onWanted: () => undefined, onSettled: () => undefined });
  data = {};
  outcomes = [];
});

async function reconcile(request: CopyRequest): Promise<{ lookAgainMs?: number }> {
  copies.want('Deployment/shop/web', [request]);
  const reconcileCopy = createCopyReconciler({
    copies,
    registry,
    settings: () => someSettings(data),
    log: pino({ enabled: false }),
    nowMs: () => NOW_MS,
    onCopied: (result) => outcomes.push(result),
  });
  return reconcileCopy(copyKey(request), new AbortController().signal);
}

it('copies an image under a tag that stays and under the tag that people know', async () => {
  await reconcile(NGINX);
  expect(registry.digests.get(`${COPY}:1.27--3f2a9c1b4d5e`)).toBe(DIGEST);
  expect(registry.digests.get(`${COPY}:1.27`)).toBe(DIGEST);
  expect(copies.get(NGINX)).toEqual({ phase: 'verified', digest: DIGEST, written: `${COPY}:1.27@${DIGEST}` });
});

it('uploads nothing that is there already', async () => {
  await reconcile(NGINX);
  copies.clear();
  await reconcile(NGINX);
  expect(registry.uploads).toBe(1);
  expect(outcomes).toEqual(['copied', 'found']);
});

it('backs up what runs, not what the tag has moved to', async () => {
  registry.put(parseReference('nginx:1.27'), OTHER_DIGEST);
  const request = { ...NGINX, runningDigest: DIGEST };
  await reconcile(request);
  expect(copies.get(request)).toMatchObject({ phase: 'verified', digest: DIGEST });
});

it('makes the plain tag right before it counts on it', async () => {
  data = { PIN_DIGEST: 'false' };
  registry.put(parseReference(`${COPY}:1.27--3f2a9c1b4d5e`), DIGEST);
  registry.put(parseReference(`${COPY}:1.27`), OTHER_DIGEST);
  await reconcile(NGINX);
  expect(registry.digests.get(`${COPY}:1.27`)).toBe(DIGEST);
  expect(copies.get(NGINX)).toMatchObject({ phase: 'verified', written: `${COPY}:1.27` });
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

  it('is copied once it runs', async () => {
    await reconcile({ ...NGINX, runningDigest: DIGEST });
    expect(registry.uploads).toBe(1);
  });
});

describe('a failure', () => {
  it('of an image that does not exist is kept for the workloads, and looked at again in an hour', async () => {
    registry.digests.clear();
    expect(await reconcile(NGINX)).toEqual({ lookAgainMs: 3_600_000 });
    expect(copies.get(NGINX)).toMatchObject({ phase: 'failed', reason: 'NotFound', side: 'source' });
  });

  it('of a registry that asks for patience waits as long as it said', async () => {
    const retryAtMs = NOW_MS + 90_000;
    registry.failure = new RegistryError('429', { reason: 'RateLimited', side: 'source', retryAtMs });
    expect(await reconcile(NGINX)).toEqual({ lookAgainMs: 90_000 });
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
