/** Images that are made to fill the memory of whoever copies them, and what becomes of those of others meanwhile. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { copyOf, waitForImages } from '../support/backed-up.ts';
import { listEvents } from '../support/events.ts';
import { requestsTo } from '../support/faults.ts';
import {
  forImage,
  listRequests,
  startFaultSetup,
  waitForCopyFailed,
  type FaultSetup,
} from '../support/faults-setup.ts';
import type { FaultyRegistry } from '../support/faulty-registry.ts';
import {
  buildIndexImage,
  buildManifestImage,
  type HostileImage,
  manyManifests,
} from '../support/hostile-images.ts';
import type { PushedImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';

const cluster = connectToCluster();
const { kube } = cluster;
const BY_ENGINE = requestsTo({ by: 'engine' });

let setup: FaultSetup;
let source: FaultyRegistry;
beforeAll(async () => {
  setup = await startFaultSetup({ cluster, name: 'oversized', sources: 1 });
  [source] = setup.sources as [FaultyRegistry];
});
afterAll(() => setup.close());

/** Puts another image in place of one that the source has, for everybody. */
function replace(pushed: PushedImage, { digest, contents }: HostileImage): void {
  for (const [name, content] of contents) {
    const isTop = name === digest;
    const path = new RegExp(isTop ? `/manifests/(1\\.0|${name})$` : `/(manifests|blobs)/${name}$`);
    const headers = {
      'content-type': content.mediaType,
      'docker-content-digest': name,
      'content-length': String(content.sizeBytes),
    };
    source.misbehave(
      forImage(pushed, {
        when: requestsTo({ path, by: 'anybody' }),
        does: { kind: 'answer', status: 200, headers, body: content.read() },
      }),
    );
  }
}

/** Only the manifest that is asked for first: an image that is refused is not looked at any further. */
function topOf({ digest, contents }: HostileImage): HostileImage {
  return { digest, contents: new Map([...contents].filter(([name]) => name === digest)) };
}

describe('an image is refused before an engine is started for it,', () => {
  it.each<[string, () => HostileImage, string]>([
    ['children', () => buildIndexImage(manyManifests(8_000)), 'has more than 500 manifests (8000)'],
    [
      'layers',
      () => buildManifestImage({ name: 'x', layers: 20_000 }),
      'has more than 1000 layers in one manifest (20000)',
    ],
    [
      'bytes',
      () => buildIndexImage(manyManifests(60, { sizeBytes: 4_000_000 })),
      'has more than 16 MiB of manifests (229 MiB)',
    ],
  ])('if it has too many %s, and others are copied', { tags: 'attack-image' }, async (name, build, told) => {
    const hostile = await setup.push(source, `oversized/${name}`);
    const honest = await setup.push(source, `oversized/beside-${name}`);
    replace(hostile, topOf(build()));
    const [attacker, tenant] = await Promise.all([setup.deploy(hostile), setup.deploy(honest)]);
    expect(await waitForCopyFailed(kube, attacker, told)).toContain('(Unsupported)');
    await waitForImages(kube, tenant, [copyOf(honest, setup.prefix)]);
    expect(listRequests(source, hostile).filter(BY_ENGINE)).toEqual([]);
    expect(listRequests(setup.backup, hostile).filter(BY_ENGINE)).toEqual([]);
    const events = await listEvents(kube, attacker);
    expect(events.filter(({ reason }) => reason === 'CopyFailed')).toHaveLength(1);
  });
});

it(
  'an engine that reads more than its source has said is stopped, and not started again and again',
  { tags: 'attack-image' },
  async () => {
    const hostile = await setup.push(source, 'oversized/liar');
    const image = buildIndexImage(manyManifests(20, { sizeBytes: 3_900_000 }), { said: 500 });
    replace(hostile, image);
    const attacker = await setup.deploy(hostile);
    expect(await waitForCopyFailed(kube, attacker, 'MiB')).toContain('(Unsupported)');
    const honest = await setup.push(source, 'oversized/beside-liar');
    await waitForImages(kube, await setup.deploy(honest), [copyOf(honest, setup.prefix)]);
    const starts = requestsTo({
      by: 'engine',
      method: 'GET',
      path: new RegExp(`/manifests/${image.digest}$`),
    });
    // Once, and once more because a workload that rolls out is a reason to try again.
    expect(listRequests(source, hostile).filter(starts).length).toBeLessThanOrEqual(2);
  },
);
