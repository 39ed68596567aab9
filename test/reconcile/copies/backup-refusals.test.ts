import { beforeEach, describe, expect, it } from 'vitest';

import { RegistryError } from '../../../src/errors.ts';
import { DIGEST, OTHER_DIGEST } from '../../support/builders.ts';
import { COPY, NGINX, NOW_MS, type CopyWorld, startCopyWorld } from '../../support/copy-world.ts';

let world: CopyWorld;
beforeEach(() => {
  world = startCopyWorld();
});

const HELD = { ...NGINX, digest: DIGEST, isProven: true };

describe('a copy that was proven', () => {
  const down = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'backup' });
  beforeEach(() => world.reconcile(HELD));

  it('stays proven while the backup cannot be asked, and is checked when it can', async () => {
    const proven = world.copies.get(HELD);
    world.registry.failure = down;
    await expect(world.reconcile(HELD)).rejects.toThrow('down');
    expect(world.copies.get(HELD)).toBe(proven);
    expect(world.outcomes).toEqual(['copied']);
    world.registry.failure = undefined;
    await world.reconcile(HELD);
    expect(world.outcomes).toEqual(['copied', 'found']);
  });

  it('stays proven when the backup does not let us in, and the log says since when it is known', async () => {
    world.registry.failure = new RegistryError('401', { reason: 'Unauthorized', side: 'backup' });
    world.registry.isPushRefused = true;
    expect(await world.reconcile(HELD)).toEqual({ requeueAfterMs: 3_600_000 });
    expect(world.copies.get(HELD)).toMatchObject({ phase: 'verified', provenAtMs: NOW_MS });
    const provenAt = new Date(NOW_MS).toISOString();
    expect(world.logged).toContainEqual(expect.objectContaining({ msg: 'copy not checked', provenAt }));
  });

  it('is lost when the backup says so, and it cannot be made again', async () => {
    world.registry.digests.delete(`${COPY}:1.27--3f2a9c1b4d5e`);
    world.registry.digests.delete(`docker.io/library/nginx@${DIGEST}`);
    await world.reconcile(HELD);
    expect(world.copies.get(HELD)).toMatchObject({ phase: 'failed', reason: 'NotFound', side: 'source' });
  });

  it('is not told of as lost when the backup takes it again and does not say what it had', async () => {
    world.registry.failure = new RegistryError('403', { reason: 'Unauthorized', side: 'backup' });
    await world.reconcile(HELD);
    expect(world.copies.get(HELD)).toMatchObject({ phase: 'verified', isUnseen: true });
    expect(world.tell(HELD)).toEqual([]);
    world.registry.failure = undefined;
    await world.reconcile(HELD);
    expect(world.tell(HELD)).toEqual([]);
  });

  it('is no news while the backup asks for patience', async () => {
    const retryAtMs = NOW_MS + 3_600_500;
    world.registry.failure = new RegistryError('429', { reason: 'RateLimited', side: 'backup', retryAtMs });
    expect(await world.reconcile(HELD)).toEqual({ requeueAfterMs: 1000 });
    expect(world.tell(HELD)).toEqual([]);
  });

  it('tells that it could not be looked at, and when it was there, until it can', async () => {
    world.registry.failure = new RegistryError('403', { reason: 'Unauthorized', side: 'backup' });
    world.registry.isPushRefused = true;
    await world.reconcile(HELD);
    const provenAt = new Date(NOW_MS).toISOString();
    expect(world.tell(HELD)).toEqual([
      expect.stringMatching(`^CopyNotChecked: .*It was there at ${provenAt}`),
    ]);
    world.registry.failure = undefined;
    expect(world.copies.listFailed()).toHaveLength(1);
    await world.reconcile(HELD);
    expect(world.tell(HELD)).toEqual([]);
    expect(world.copies.listFailed()).toEqual([]);
  });

  it('stays proven whatever the pods of a neighbour report, and is a failure for that one', async () => {
    const foreign = { ...HELD, reported: [OTHER_DIGEST] };
    world.registry.failure = new RegistryError('401', { reason: 'Unauthorized', side: 'backup' });
    world.registry.isPushRefused = true;
    await world.reconcile(foreign, 'Deployment/evil/web');
    expect(world.copies.get(foreign)).toMatchObject({ phase: 'failed', reason: 'Unauthorized' });
    expect(world.copies.get(HELD)).toMatchObject({ phase: 'verified', provenAtMs: NOW_MS });
    expect(world.copies.countPhases()).toMatchObject({ verified: 1, failed: 0 });
    world.registry.failure = undefined;
    await world.reconcile(foreign, 'Deployment/evil/web');
    expect(world.copies.get(foreign)).toMatchObject({ phase: 'verified', unlike: [OTHER_DIGEST] });
  });

  it('is a failure, and not waited for, once pods report what it was not compared with', async () => {
    await world.reconcile(NGINX);
    const more = { ...NGINX, elsewhere: [OTHER_DIGEST] };
    world.registry.failure = new RegistryError('401', { reason: 'Unauthorized', side: 'source' });
    await world.reconcile(more);
    expect(world.copies.get(more)).toMatchObject({ phase: 'failed', reason: 'Unauthorized' });
  });

  it('is not taken for a copy without proof because the backup does not say that it is there', async () => {
    world = startCopyWorld();
    const unproven = { ...NGINX, digest: DIGEST, isUnprovable: true };
    await world.reconcile(unproven);
    world.registry.failure = new RegistryError('401', { reason: 'Unauthorized', side: 'backup' });
    world.registry.privateHosts.add('docker.io');
    await world.reconcile(unproven);
    expect(world.copies.get(unproven)).toMatchObject({
      phase: 'verified',
      checkProblem: expect.stringContaining('401'),
    });
  });
});

describe('a backup that refuses to say what it has before the first push', () => {
  beforeEach(() => {
    world.registry.failure = new RegistryError('401', { reason: 'Unauthorized', side: 'backup' });
  });

  it('is pushed to, and tried before anything is fetched', async () => {
    await world.reconcile(NGINX);
    expect(world.registry.lastJob).toMatchObject({ isUnseen: true });
    expect(world.copies.get(NGINX)).toMatchObject({ phase: 'verified', copiedAtMs: NOW_MS });
  });

  it('fails with what it says to the push', async () => {
    world.registry.isPushRefused = true;
    await world.reconcile(NGINX);
    expect(world.copies.get(NGINX)).toMatchObject({
      phase: 'failed',
      reason: 'Unauthorized',
      message: 'not pushed',
    });
  });

  it('is told of when a copy to the rescue is asked for, and nobody else has the image', async () => {
    const request = { ...NGINX, isRescue: true };
    await world.reconcile(request);
    expect(world.copies.get(request)).toMatchObject({ phase: 'verified' });
    world.registry.digests.clear();
    world.copies.clear();
    await world.reconcile(request);
    expect(world.copies.get(request)).toMatchObject({
      phase: 'failed',
      reason: 'Unauthorized',
      side: 'backup',
      message: expect.stringContaining('does not exist, or may not be read'),
    });
    expect(world.copies.get(request)).not.toHaveProperty('isMissing');
  });

  it('keeps pods that are to be rescued waiting no longer than their source asks for', async () => {
    const retryAtMs = NOW_MS + 60_000;
    const fetchDigest = world.registry.fetchDigest.bind(world.registry);
    world.registry.fetchDigest = (reference, side) =>
      side === 'source'
        ? Promise.reject(new RegistryError('429', { reason: 'RateLimited', side, retryAtMs }))
        : fetchDigest(reference, side);
    expect(await world.reconcile({ ...NGINX, isRescue: true })).toEqual({ requeueAfterMs: 60_000 });
  });
});
