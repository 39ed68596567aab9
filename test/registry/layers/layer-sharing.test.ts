import { expect, it } from 'vitest';

import { systemClock } from '../../../src/clock.ts';
import { parseReference } from '../../../src/images/reference.ts';
import { LayerSharing, type SharedCopy } from '../../../src/registry/layers/layer-sharing.ts';
import type { ImageAccess } from '../../../src/registry/manifests/image-access.ts';

const { signal } = new AbortController();
const BASE = { digest: `sha256:${'a'.repeat(64)}`, sizeBytes: 24_000_000 };

function at(text: string, side: ImageAccess['side']): ImageAccess {
  return { reference: parseReference(text), side, credential: undefined, insecureRegistries: [], signal };
}

function aCopy(name: string): SharedCopy {
  const [source, backup] = [at(`a.io/${name}:1`, 'source'), at(`b.io/backup/${name}:1`, 'backup')];
  return { source, backup, namespace: 'shop', isUrgent: false };
}

it('mounts a layer whose copy has ended while the source was asked for it', async () => {
  const asked = Promise.withResolvers<boolean>();
  const mounted: string[] = [];
  const sharing = new LayerSharing({
    clock: systemClock,
    client: {
      hasLayer: () => asked.promise,
      mountLayer: async (_, { from }) => {
        mounted.push(from);
        return 'mounted';
      },
    },
  });
  const first = sharing.open(aCopy('first'));
  expect(await first.mount([BASE])).toEqual([]);
  const second = sharing.open(aCopy('second'));
  const taken = second.mount([BASE]);
  first.note(BASE.digest, 'done');
  first.learn([BASE]);
  first.close();
  asked.resolve(true);
  expect(await taken).toEqual([BASE]);
  expect(mounted).toEqual(['backup/first']);
});
