import { beforeEach, describe, expect, it } from 'vitest';

import { RegistryError } from '../../../src/errors.ts';
import { parseReference, withDigest } from '../../../src/images/reference.ts';
import { DIGEST, OTHER_DIGEST } from '../../support/builders.ts';
import { COPY, NGINX, type CopyWorld, startCopyWorld } from '../../support/copy-world.ts';

let world: CopyWorld;
beforeEach(() => {
  world = startCopyWorld();
});

describe('a copy of earlier settings whose source is gone', () => {
  const FORMER = withDigest(parseReference('old.example/q/docker.io/library/nginx:1.27'), DIGEST);
  const shown = { ...NGINX, digest: DIGEST, formers: [{ image: FORMER, isShown: true }] };
  beforeEach(() => {
    world.registry.digests.clear();
    world.registry.put(FORMER, DIGEST);
  });

  it('is copied from where it was, and that is known', async () => {
    await world.reconcile(shown);
    expect(world.registry.lastJob).toMatchObject({ source: FORMER });
    expect(world.registry.digests.get(`${COPY}:1.27--3f2a9c1b4d5e`)).toBe(DIGEST);
    expect(world.copies.get(shown)).toMatchObject({
      phase: 'verified',
      digest: DIGEST,
      movedFrom: `old.example/q/docker.io/library/nginx:1.27@${DIGEST}`,
    });
  });

  it('is copied from its source while that has it', async () => {
    world.registry.put(parseReference('nginx:1.27'), DIGEST);
    await world.reconcile(shown);
    expect(world.registry.lastJob?.source.host).toBe('docker.io');
    expect(world.copies.get(shown)).not.toHaveProperty('movedFrom');
  });

  it('is copied while the source is down', async () => {
    world.registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'source' });
    world.registry.failureOf = 'docker.io';
    await world.reconcile(shown);
    expect(world.copies.get(shown)).toMatchObject({ phase: 'verified' });
  });

  it(
    'is not taken from a private registry without a pod that runs it there',
    { tags: 'attack-annotation' },
    async () => {
      world.registry.privateHosts.add('old.example');
      const unshown = { ...shown, formers: [{ image: FORMER, isShown: false }] };
      await world.reconcile(unshown);
      expect(world.copies.get(unshown)).toMatchObject({
        phase: 'failed',
        reason: 'NotFound',
        side: 'source',
      });
      world.registry.privateHosts.clear();
      await world.reconcile(unshown);
      expect(world.copies.get(unshown)).toMatchObject({ phase: 'verified' });
    },
  );

  it('fails with what the source says when it is gone from there as well', async () => {
    world.registry.digests.clear();
    await world.reconcile(shown);
    expect(world.copies.get(shown)).toMatchObject({ phase: 'failed', reason: 'NotFound', message: 'gone' });
  });

  it('is copied without a word to a source that may not be asked any more', async () => {
    const asked: string[] = [];
    const { registry } = world;
    const fetchDigest = registry.fetchDigest.bind(registry);
    registry.fetchDigest = (reference, side) => {
      asked.push(reference.host);
      return fetchDigest(reference, side);
    };
    registry.put(parseReference('nginx:1.27'), DIGEST);
    const barred = { ...shown, isSourceBarred: true };
    await world.reconcile(barred);
    expect(world.copies.get(barred)).toMatchObject({ phase: 'verified', movedFrom: expect.anything() });
    registry.digests.clear();
    world.copies.clear();
    await world.reconcile(barred);
    expect(world.copies.get(barred)).toMatchObject({
      phase: 'failed',
      message: expect.stringContaining('which SOURCE_HOSTS does not name'),
    });
    expect(asked).not.toContain('docker.io');
  });

  it(
    'is found although a neighbour names another former place, where nothing is',
    { tags: 'attack-annotation' },
    async () => {
      const image = withDigest(parseReference('older.example/q/docker.io/library/nginx:1.27'), DIGEST);
      world.copies.want('Deployment/evil/web', [{ ...shown, formers: [{ image, isShown: true }] }]);
      await world.reconcile({ ...shown, formers: [{ image: FORMER, isShown: false }] });
      expect(world.copies.get(shown)).toMatchObject({
        phase: 'verified',
        movedFrom: expect.stringContaining('old.example'),
      });
    },
  );

  it('is copied as far as it was ever there', async () => {
    const absent = { platforms: ['linux/amd64'], missing: `${OTHER_DIGEST} (linux/s390x)` };
    world.registry.absentParts.set(DIGEST, absent);
    await world.reconcile(shown);
    expect(world.copies.get(shown)).toMatchObject({ phase: 'verified', absent });
  });

  it('brings its plain tag along, for rescues and mirrors', async () => {
    await world.reconcile(shown);
    expect(world.registry.digests.get(`${COPY}:1.27`)).toBe(DIGEST);
  });

  it('comes without its plain tag where that may not be asked', async () => {
    const fetchDigest = world.registry.fetchDigest.bind(world.registry);
    world.registry.fetchDigest = (reference, side) =>
      reference.host === 'old.example' && reference.digest === undefined
        ? Promise.reject(new RegistryError('403', { reason: 'Unauthorized', side }))
        : fetchDigest(reference, side);
    await world.reconcile(shown);
    expect(world.copies.get(shown)).toMatchObject({ phase: 'verified', movedFrom: expect.anything() });
  });

  it('leaves a plain tag alone that the backup does not tell of', async () => {
    world.registry.digests.set(`${COPY}:1.27`, OTHER_DIGEST);
    world.registry.failure = new RegistryError('403', { reason: 'Unauthorized', side: 'backup' });
    await world.reconcile(shown);
    expect(world.copies.get(shown)).toMatchObject({ phase: 'verified' });
    expect(world.registry.digests.get(`${COPY}:1.27`)).toBe(OTHER_DIGEST);
  });

  it.each([
    ['means another image there', 'old.example/q/docker.io/library/nginx:1.27'],
    ['is in the backup already', `${COPY}:1.27`],
  ])('leaves the plain tag alone when it %s', async (_, where) => {
    world.registry.put(parseReference(where), OTHER_DIGEST);
    world.registry.put(withDigest(FORMER, DIGEST), DIGEST);
    world.registry.digests.set(where, OTHER_DIGEST);
    await world.reconcile(shown);
    expect(world.copies.get(shown)).toMatchObject({ phase: 'verified' });
    expect(world.registry.digests.get(`${COPY}:1.27`)).not.toBe(DIGEST);
  });
});
