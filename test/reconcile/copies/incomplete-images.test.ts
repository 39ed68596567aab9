import { beforeEach, describe, expect, it } from 'vitest';

import { RegistryError } from '../../../src/errors.ts';
import { withDigest } from '../../../src/images/reference.ts';
import { DIGEST, OTHER_DIGEST } from '../../support/builders.ts';
import { COPY, NGINX, type CopyWorld, startCopyWorld } from '../../support/copy-world.ts';

let world: CopyWorld;
beforeEach(() => {
  world = startCopyWorld();
});

const HELD = { ...NGINX, digest: DIGEST, isProven: true };

describe('an image of which its source lacks a part', () => {
  const absent = { platforms: ['linux/amd64'], missing: `${OTHER_DIGEST} (linux/s390x)` };
  beforeEach(() => {
    world.registry.absentParts.set(DIGEST, absent);
  });

  it('is copied for the platforms that are there, under the name of a copy of some', async () => {
    await world.reconcile(NGINX);
    expect(world.registry.lastJob).toMatchObject({ platforms: ['linux/amd64'] });
    expect(world.registry.digests.get(`${COPY}:1.27--3f2a9c1b4d5e-partial`)).toBe(DIGEST);
    expect(world.copies.get(NGINX)).toMatchObject({
      phase: 'verified',
      image: `${COPY}:1.27@${DIGEST}`,
      absent,
    });
  });

  it('is found again, and not copied again', async () => {
    await world.reconcile(NGINX);
    await world.reconcile(NGINX);
    expect(world.registry.uploads).toBe(1);
    expect(world.copies.get(NGINX)).toMatchObject({ phase: 'verified', absent });
  });

  it('is known to the next process although the source is gone', async () => {
    const held = { ...NGINX, digest: DIGEST };
    await world.reconcile(held);
    world.copies.clear();
    world.loseSource();
    await world.reconcile(held);
    expect(world.copies.get(held)).toMatchObject({ phase: 'verified', absent });
    expect(world.copies.get(held)).not.toHaveProperty('copiedAtMs');
  });

  it('is not copied by a backup that takes whole images only: what is missing is told, and both ways out', async () => {
    world.registry.takesWholeOnly = true;
    expect(await world.reconcile(NGINX)).toEqual({ requeueAfterMs: 3_600_000 });
    expect(world.copies.get(NGINX)).toMatchObject({
      phase: 'failed',
      reason: 'Incomplete',
      message: expect.stringMatching(/linux\/s390x.* or allow images of which not all platforms are there/),
    });
  });

  it('is not copied when nothing is left of it that a node could run', async () => {
    world.registry.absentParts.set(DIGEST, { ...absent, platforms: [] });
    await world.reconcile(NGINX);
    expect(world.copies.get(NGINX)).toMatchObject({ phase: 'failed', reason: 'Incomplete' });
  });

  it('is known to the next process, and not copied again, while the source is there', async () => {
    await world.reconcile(HELD);
    world.copies.clear();
    await world.reconcile(HELD);
    expect(world.registry.uploads).toBe(1);
    expect(world.copies.get(HELD)).toMatchObject({ phase: 'verified', absent });
    expect(world.tell(HELD)).toEqual([expect.stringMatching(/^CopyIncomplete: /)]);
  });

  it('is copied as a whole once its source has all of it, which is no loss that was repaired', async () => {
    await world.reconcile(HELD);
    world.registry.absentParts.clear();
    await world.reconcile(HELD);
    expect(world.copies.get(HELD)).toMatchObject({ phase: 'verified' });
    expect(world.copies.get(HELD)).not.toHaveProperty('absent');
    expect(world.registry.digests.get(`${COPY}:1.27--3f2a9c1b4d5e`)).toBe(DIGEST);
    await world.reconcile(HELD);
    expect(world.registry.uploads).toBe(2);
    expect(world.tell(HELD).filter((text) => text.startsWith('CopyMissing'))).toEqual([]);
  });

  it('stays as it is while its source cannot be asked whether it has more by now', async () => {
    await world.reconcile(HELD);
    world.registry.absentParts.clear();
    world.registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'source' });
    await world.reconcile(HELD);
    expect(world.copies.get(HELD)).toMatchObject({ phase: 'verified', absent });
  });

  it('stays proven when it cannot be completed', async () => {
    await world.reconcile(HELD);
    world.registry.absentParts.clear();
    world.registry.copy = () =>
      Promise.reject(new RegistryError('full', { reason: 'QuotaExceeded', side: 'backup' }));
    await world.reconcile(HELD);
    expect(world.copies.get(HELD)).toMatchObject({ phase: 'verified', absent });
    expect(world.tell(HELD)).toEqual([expect.stringMatching(/^CopyIncomplete: /)]);
  });

  it('is copied again as far as it was when the backup has lost it, and not taken for a whole one', async () => {
    await world.reconcile(HELD);
    world.registry.digests.delete(`${COPY}:1.27--3f2a9c1b4d5e-partial`);
    await world.reconcile(HELD);
    expect(world.registry.uploads).toBe(2);
    expect(world.copies.get(HELD)).toMatchObject({ phase: 'verified', absent });
    expect(world.tell(HELD).map((text) => text.split(':')[0])).toEqual(['CopyIncomplete', 'CopyMissing']);
  });

  it('is lost when the backup has lost it, although its source is complete by now', async () => {
    await world.reconcile(HELD);
    world.registry.absentParts.clear();
    world.registry.digests.delete(`${COPY}:1.27--3f2a9c1b4d5e-partial`);
    world.registry.copy = () =>
      Promise.reject(new RegistryError('full', { reason: 'QuotaExceeded', side: 'backup' }));
    await world.reconcile(HELD);
    expect(world.copies.get(HELD)).toMatchObject({ phase: 'failed', isMissing: true });
  });

  it('is repaired by the next process when the backup has lost a part of it', async () => {
    const more = { ...absent, platforms: ['linux/amd64', 'linux/arm64'] };
    world.registry.absentParts.set(DIGEST, more);
    await world.reconcile(HELD);
    world.copies.clear();
    world.registry.absentInBackup.set(DIGEST, absent);
    await world.reconcile(HELD);
    expect(world.registry.lastJob).toMatchObject({ platforms: more.platforms, isRepair: true });
    expect(world.registry.uploads).toBe(2);
    expect(world.copies.get(HELD)).toMatchObject({ phase: 'verified', absent: more });
  });

  it('is none when the backup has no part of it left', async () => {
    await world.reconcile(HELD);
    world.copies.clear();
    world.loseSource();
    world.registry.absentInBackup.set(DIGEST, { ...absent, platforms: [] });
    await world.reconcile(HELD);
    expect(world.copies.get(HELD)).toMatchObject({ phase: 'failed', isMissing: true });
  });

  describe('of those that PLATFORMS names', () => {
    beforeEach(async () => {
      world = startCopyWorld({ PLATFORMS: 'linux/amd64,linux/s390x' });
      world.registry.absentParts.set(DIGEST, absent);
      await world.reconcile(HELD);
      world.copies.clear();
      // Its index is there under the very name of a copy of both.
      world.registry.missingParts.set(DIGEST, OTHER_DIGEST);
    });

    it('is found again by the next process', async () => {
      await world.reconcile(HELD);
      expect(world.registry.uploads).toBe(1);
      expect(world.copies.get(HELD)).toMatchObject({ phase: 'verified', absent });
      expect(world.tell(HELD)).toEqual([expect.stringMatching(/^CopyIncomplete: /)]);
    });

    it('rescues pods when its source is gone', async () => {
      world.loseSource();
      const request = { ...NGINX, source: withDigest(NGINX.source, DIGEST), isRescue: true };
      await world.reconcile(request);
      expect(world.copies.get(request)).toMatchObject({ phase: 'verified', absent });
    });

    it('is lost when its source is gone, too: who knows what the copy was', async () => {
      world.loseSource();
      await world.reconcile(HELD);
      expect(world.copies.get(HELD)).toMatchObject({ phase: 'failed', isMissing: true });
    });
  });

  it('rescues pods only with what is known to be missing', async () => {
    const request = { ...NGINX, isRescue: true };
    await world.reconcile(request);
    expect(world.copies.get(request)).toMatchObject({ phase: 'verified', absent });
  });

  it('rescues pods when its source is gone', async () => {
    await world.reconcile(NGINX);
    world.copies.clear();
    world.loseSource();
    const request = { ...NGINX, source: withDigest(NGINX.source, DIGEST), isRescue: true };
    await world.reconcile(request);
    expect(world.copies.get(request)).toMatchObject({ phase: 'verified', digest: DIGEST, absent });
  });
});
