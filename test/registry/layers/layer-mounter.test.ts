import { expect, it } from 'vitest';

import { systemClock } from '../../../src/clock.ts';
import { parseReference } from '../../../src/images/reference.ts';
import { createLayerMounter, type MountTarget } from '../../../src/registry/layers/layer-mounter.ts';
import { LayerPlaces } from '../../../src/registry/layers/layer-places.ts';
import { createMountManners } from '../../../src/registry/layers/mount-manners.ts';
import type { MountResult } from '../../../src/registry/manifests/layer-client.ts';

const { signal } = new AbortController();

function at(host: string): MountTarget['source'] {
  const reference = parseReference(`${host}/app:1`);
  return { reference, side: 'source', credential: undefined, insecureRegistries: [], signal };
}

const TARGET: MountTarget = {
  owner: { route: 'a b', namespace: 'ours' },
  source: at('a.io'),
  backup: at('b.io'),
};
const LAYERS = Array.from({ length: 20 }, (_, index) => {
  const digest = `sha256:${index.toString(16).padStart(64, '0')}`;
  return { digest, sizeBytes: 1_000_000, place: { repository: 'backup/other', sizeBytes: 1_000_000 } };
});

function createMounter(answer: () => Promise<MountResult>) {
  let [asking, most] = [0, 0];
  const ask = async <Answer>(give: () => Promise<Answer>): Promise<Answer> => {
    asking += 1;
    most = Math.max(most, asking);
    await new Promise(setImmediate);
    asking -= 1;
    return give();
  };
  const manners = createMountManners(systemClock);
  const client = { hasLayer: () => ask(async () => true), mountLayer: () => ask(answer) };
  const mounter = createLayerMounter({ client, manners, places: new LayerPlaces() });
  return { mounter, manners, countMost: () => most };
}

it('leaves most connections of a host to others', { tags: 'attack-share' }, async () => {
  const { mounter, countMost } = createMounter(async () => 'mounted');
  expect(await mounter.listOffered(TARGET, LAYERS)).toHaveLength(20);
  expect(await mounter.mountAll(TARGET, LAYERS)).toHaveLength(20);
  expect(countMost()).toBe(2);
});

it('does not take silence for a refusal: a slow backup is asked again', async () => {
  const { mounter, manners } = createMounter(() =>
    Promise.reject(Object.assign(new Error('too slow'), { name: 'TimeoutError' })),
  );
  expect(await mounter.mountAll(TARGET, LAYERS)).toEqual([]);
  expect(manners.mayAsk('https://b.io')).toBe(true);
});
