import { expect, it } from 'vitest';

import { parseReference } from '../../../src/images/reference.ts';
import { createLayerLister } from '../../../src/registry/content/image-layers.ts';
import type { PinnedAccess } from '../../../src/registry/manifests/image-access.ts';

const DIGESTS = ['1', '2'].map((name) => `sha256:${name.repeat(64)}`);
const TOP = `sha256:${'f'.repeat(64)}`;

const image: PinnedAccess = {
  reference: { ...parseReference('a.io/app'), digest: TOP },
  side: 'source',
  credential: undefined,
  insecureRegistries: [],
  signal: new AbortController().signal,
};

it('reads no more of a manifest than its index says it has', { tags: 'attack-image' }, async () => {
  const read = new Map<string, number | undefined>();
  const list = createLayerLister({
    clock: { monotonicMs: () => 0 },
    async read({ reference: { digest }, mostBytes }) {
      if (digest === TOP) {
        const [small = '', unsaid = ''] = DIGESTS;
        const entries = [
          { digest: small, is: 'manifest', sizeBytes: 1_000 },
          { digest: unsaid, is: 'manifest' },
        ] as const;
        return { is: 'index', sizeBytes: 700, entries };
      }
      read.set(digest, mostBytes);
      return { is: 'manifest', sizeBytes: 1_000, layers: 1, large: [{ digest, sizeBytes: 200_000 }] };
    },
  });
  expect(await list(image, 'all')).toHaveLength(2);
  expect([...read.values()]).toEqual([1_000, 65_536]);
});
