import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';

import { RegistryError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/images/reference.ts';
import { createCopyReconciler } from '../../../src/reconcile/copies/copy-reconciler.ts';
import type { CopyRequest } from '../../../src/reconcile/copies/copy-state.ts';
import { CopyStore, copyKey } from '../../../src/reconcile/copies/copy-store.ts';
import { DIGEST, OTHER_DIGEST, someSettings } from '../../support/builders.ts';
import { MemoryRegistry } from '../../support/memory-registry.ts';

const SOURCE = parseReference('nginx:1.27');
const COPY = 'backup.example/p/docker.io/library/nginx';
/** In the repository of the source, and nothing that its tag has ever meant. */
const FOREIGN = `sha256:${'e'.repeat(64)}`;
const PLAIN: CopyRequest = { source: SOURCE, isProven: false };
/** The slot says that it holds a copy of it. */
const HELD: CopyRequest = { source: SOURCE, digest: FOREIGN, isProven: true };

let registry: MemoryRegistry;
let copies: CopyStore;
let data: Record<string, string>;

beforeEach(() => {
  registry = new MemoryRegistry({});
  registry.put(SOURCE, DIGEST);
  registry.put({ host: 'docker.io', repository: 'library/nginx' }, FOREIGN);
  copies = new CopyStore({ onWanted: () => undefined, onSettled: () => undefined });
  data = {};
});

async function reconcile(request: CopyRequest): Promise<{ requeueAfterMs?: number }> {
  copies.want('Deployment/shop/web', [request]);
  const reconcileCopy = createCopyReconciler({
    copies,
    registry,
    settings: () => someSettings(data),
    log: pino({ enabled: false }),
    nowMs: () => 0,
    random: () => 0.5,
    onCopied: () => undefined,
  });
  return reconcileCopy(copyKey(request), new AbortController().signal);
}

function plainTag(): string | undefined {
  return registry.digests.get(`${COPY}:1.27`);
}

function setPlainTag(digest: string): void {
  registry.put(parseReference(`${COPY}:1.27`), digest);
}

describe('the plain tag', () => {
  it('does not move to what a record says that a slot holds', { tags: 'attack-annotation' }, async () => {
    await reconcile(PLAIN);
    await reconcile(HELD);
    expect(copies.get(HELD)).toMatchObject({ phase: 'verified', digest: FOREIGN });
    expect(plainTag()).toBe(DIGEST);
  });

  it(
    'is not made for what a record says either, where there is none yet',
    { tags: 'attack-annotation' },
    async () => {
      await reconcile(HELD);
      expect(plainTag()).toBeUndefined();
    },
  );

  it(
    'does not move to an image that the tag does not mean, and that pods run',
    { tags: 'attack-image' },
    async () => {
      await reconcile(PLAIN);
      await reconcile({ ...PLAIN, reported: [FOREIGN] });
      expect(registry.digests.get(`${COPY}:1.27--eeeeeeeeeeee`)).toBe(FOREIGN);
      expect(plainTag()).toBe(DIGEST);
    },
  );

  it('is set to what the tag means soon after, where pods run an older image', async () => {
    const older = { ...PLAIN, reported: [FOREIGN] };
    expect(await reconcile(older)).toEqual({ requeueAfterMs: 30_000 });
    expect(plainTag()).toBeUndefined();
    expect((await reconcile(older)).requeueAfterMs).toBeGreaterThan(3_600_000);
    expect(plainTag()).toBe(DIGEST);
  });

  it('is not looked for at once where changes of the source are of no interest', async () => {
    data = { ON_SOURCE_CHANGE: 'ignore' };
    expect((await reconcile({ ...PLAIN, reported: [FOREIGN] })).requeueAfterMs).toBeGreaterThan(3_600_000);
  });

  it('is set by a re-check when the first pass could not tell', async () => {
    const held = { ...HELD, digest: DIGEST };
    await reconcile(held);
    expect(plainTag()).toBeUndefined();
    await reconcile(held);
    expect(plainTag()).toBe(DIGEST);
  });

  it.each<[string, CopyRequest]>([
    ['that nobody runs yet', PLAIN],
    ['that pods run', { ...PLAIN, reported: [DIGEST] }],
    ['that a slot holds', { ...HELD, digest: DIGEST }],
    ['that has moved on', { ...HELD, digest: OTHER_DIGEST }],
  ])('is put right by a re-check of an image %s', { tags: 'attack-image' }, async (_, request) => {
    registry.put({ host: 'docker.io', repository: 'library/nginx' }, OTHER_DIGEST);
    await reconcile(PLAIN);
    await reconcile(request);
    await reconcile(request);
    setPlainTag(FOREIGN);
    await reconcile(request);
    expect(plainTag()).toBe(DIGEST);
  });

  it('is left as it is when the source does not say what the tag means', async () => {
    await reconcile(HELD);
    setPlainTag(OTHER_DIGEST);
    registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'source' });
    await reconcile(HELD);
    expect(plainTag()).toBe(OTHER_DIGEST);
  });

  it('is looked at once for every re-check, and not written when it is right', async () => {
    await reconcile(PLAIN);
    const asked: string[] = [];
    const { fetchDigest } = registry;
    registry.fetchDigest = (reference, side) => {
      asked.push(`${side} ${reference.tag}`);
      return fetchDigest.call(registry, reference, side);
    };
    registry.tag = () => Promise.reject(new Error('not to be written'));
    copies.clear();
    await reconcile(PLAIN);
    expect(asked).toEqual(['source 1.27', 'backup 1.27--3f2a9c1b4d5e']);
    asked.length = 0;
    await reconcile(PLAIN);
    expect(asked).toEqual(['source 1.27', 'backup 1.27--3f2a9c1b4d5e', 'backup 1.27']);
  });
});

it(
  'is rescued with what the source gave, whatever a neighbour wrote down',
  { tags: 'attack-annotation' },
  async () => {
    await reconcile(PLAIN);
    await reconcile(HELD);
    await reconcile(HELD);
    registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'source' });
    const rescue = { ...PLAIN, isRescue: true };
    await reconcile(rescue);
    expect(copies.get(rescue)).toMatchObject({ phase: 'verified', digest: DIGEST });
  },
);

it(
  'never takes the tag that stays from another image whose digest begins alike',
  { tags: 'attack-image' },
  async () => {
    const twin = `${DIGEST.slice(0, 'sha256:'.length + 12)}${'f'.repeat(52)}`;
    registry.put({ host: 'docker.io', repository: 'library/nginx' }, twin);
    await reconcile(PLAIN);
    const request = { ...HELD, digest: twin };
    await reconcile(request).catch(() => undefined);
    expect(copies.get(request)).toMatchObject({ phase: 'failed', reason: 'Unsupported', side: 'backup' });
    expect(registry.digests.get(`${COPY}:1.27--3f2a9c1b4d5e`)).toBe(DIGEST);
    expect(registry.uploads).toBe(1);
  },
);
