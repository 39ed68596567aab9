/** Which images are refused before an engine is started for them, and what it costs to know. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import type { Platforms } from '../../../src/images/platforms.ts';
import { parseReference } from '../../../src/images/reference.ts';
import { createImageRegistry } from '../../../src/registry/image-registry.ts';
import { type ContentServer, startContentServer } from '../../support/content-server.ts';
import {
  buildIndexImage,
  buildManifestImage,
  type HostileImage,
  manyManifests,
} from '../../support/hostile-images.ts';
import { createFakeEngine, type FakeEngine } from '../engine/fake-engine.ts';
import { aTraceLine } from '../engine/trace-lines.ts';

const MIB = 1024 * 1024;
const { signal } = new AbortController();

let source: ContentServer;
let fake: FakeEngine;
/** What the source says of downloads. */
let said: Readonly<Record<string, string>>;
beforeEach(async () => {
  said = {};
  source = await startContentServer(() => said);
  onTestFinished(() => source.close());
  fake = await createFakeEngine();
});

/** Copies with an engine that does nothing but say that it has copied. */
async function copy(image: HostileImage, platforms: Platforms = 'all'): Promise<void> {
  source.hold('app', image);
  const registry = createImageRegistry({
    settings: () => ({
      copyConcurrency: 1,
      copyTimeoutMs: 20_000,
      insecureRegistries: [source.host],
      copyReferrers: false,
    }),
    configFolder: undefined,
    program: fake.program,
    environment: { PATH: process.env['PATH'] },
    clock: { nowMs: () => 0, monotonicMs: () => 0 },
    temporaryFolder: fake.folder,
  });
  onTestFinished(() => registry.close());
  const headers = { 'Docker-Content-Digest': image.digest };
  const url = 'https://b.io/v2/backup/app/manifests/1';
  await fake.become({ stderr: [aTraceLine({ method: 'PUT', url, status: '201 Created', headers })] });
  const job = {
    source: parseReference(`${source.host}/app:1@${image.digest}`),
    copy: parseReference('b.io/backup/app:1'),
    platforms,
  };
  // As a pass does that finds out what a tag means.
  await registry.fetchDigest(job.source, 'source', signal);
  await registry.copy(job, signal);
}

function countRequests(method: string): number {
  return source.requests.filter((request) => request.startsWith(`${method} `)).length;
}

describe('an image', () => {
  it.each<[string, () => HostileImage, string]>([
    ['501 manifests', () => buildIndexImage(manyManifests(501)), 'has more than 500 manifests (501)'],
    ['8,000 manifests', () => buildIndexImage(manyManifests(8_000)), 'has more than 500 manifests (8000)'],
    [
      '1,001 layers',
      () => buildManifestImage({ name: 'x', layers: 1_001 }),
      'has more than 1000 layers in one manifest (1001)',
    ],
    [
      '20,000 layers',
      () => buildManifestImage({ name: 'x', layers: 20_000 }),
      'has more than 1000 layers in one manifest (20000)',
    ],
    [
      '1,001 layers in one of its manifests',
      () => buildIndexImage([{ name: 'x' }, { name: 'y', layers: 1_001 }, { name: 'z' }]),
      'has more than 1000 layers in one manifest (1001)',
    ],
    [
      '3,501 layers in all its manifests',
      () => buildIndexImage([...manyManifests(4, { layers: 875 }), { name: 'z' }]),
      'has more than 3500 layers in all its manifests (3501)',
    ],
    [
      '60 manifests of 4 MB',
      () => buildIndexImage(manyManifests(60, { sizeBytes: 4_000_000 })),
      'has more than 16 MiB of manifests (229 MiB)',
    ],
  ])('of %s is refused without an engine', { tags: 'attack-image' }, async (_, build, told) => {
    const image = build();
    await expect(copy(image)).rejects.toMatchObject({
      reason: 'Unsupported',
      side: 'source',
      message: `${source.host}/app:1@${image.digest} ${told}`,
    });
    expect(await fake.calls()).toEqual([]);
  });

  it(
    'of manifests that are larger than it says is refused when they are read',
    { tags: 'attack-image' },
    async () => {
      const manifests = manyManifests(5, { sizeBytes: 3.9 * MIB });
      await expect(copy(buildIndexImage(manifests, { said: 100_000 }))).rejects.toMatchObject({
        reason: 'Unsupported',
        message: expect.stringContaining('has more than 16 MiB of manifests (20 MiB)'),
      });
      expect(await fake.calls()).toEqual([]);
    },
  );

  it.each<[string, () => HostileImage]>([
    ['500 manifests', () => buildIndexImage(manyManifests(500))],
    ['1,000 layers', () => buildManifestImage({ name: 'x', layers: 1_000 })],
    [
      'as many layers as can be run on 27 platforms',
      () => buildIndexImage(manyManifests(27, { layers: 127 })),
    ],
    ['nearly 16 MiB of manifests', () => buildIndexImage(manyManifests(4, { sizeBytes: 3.99 * MIB }))],
  ])('of %s is copied', async (_, build) => {
    await copy(build());
    expect(await fake.calls()).toHaveLength(1);
  });

  it('is judged by its platforms that are wanted', async () => {
    const image = buildIndexImage([
      { name: 'x', platform: { os: 'linux', architecture: 'amd64' } },
      ...manyManifests(5, { sizeBytes: 3.9 * MIB, platform: { os: 'linux', architecture: 's390x' } }),
    ]);
    await copy(image, ['linux/amd64']);
    await expect(copy(image, ['linux/s390x'])).rejects.toMatchObject({ reason: 'Unsupported' });
  });
});

describe('to know it costs, after a first HEAD,', () => {
  const TEN_PLATFORMS = manyManifests(10, { layers: 20 });

  it.each<[string, () => HostileImage, number]>([
    ['one HEAD for a manifest', () => buildManifestImage({ name: 'x', layers: 127 }), 0],
    ['a GET besides for an index of 10 platforms', () => buildIndexImage(TEN_PLATFORMS), 1],
    ['nothing more for one with attestations', () => buildIndexImage(manyManifests(20, { layers: 20 })), 1],
    [
      'nothing more for as many layers as can be run',
      () => buildIndexImage(manyManifests(7, { layers: 127 })),
      1,
    ],
    [
      'as many GETs as it has manifests for one of size',
      () => buildIndexImage(manyManifests(20, { layers: 99 })),
      21,
    ],
  ])('%s, where downloads are counted', async (_, build, gets) => {
    said = { 'ratelimit-limit': '200;w=21600', 'ratelimit-remaining': '199;w=21600' };
    await copy(build());
    expect([countRequests('HEAD'), countRequests('GET')]).toEqual([2, gets]);
  });

  it.each<[string, () => HostileImage, number]>([
    ['a GET in place of the HEAD for a manifest', () => buildManifestImage({ name: 'x', layers: 127 }), 1],
    ['a GET for each manifest of an index of 10 platforms', () => buildIndexImage(TEN_PLATFORMS), 11],
    ['no more than 41 GETs', () => buildIndexImage(manyManifests(60, { layers: 2 })), 41],
  ])('%s, where they are not', async (_, build, gets) => {
    await copy(build());
    expect([countRequests('HEAD'), countRequests('GET')]).toEqual([1, gets]);
  });

  it('no GET for an attestation', async () => {
    const attestations = manyManifests(10, { platform: { os: 'unknown', architecture: 'unknown' } });
    await copy(buildIndexImage([{ name: 'x' }, ...attestations]));
    expect(countRequests('GET')).toBe(2);
  });
});
