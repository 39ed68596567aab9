import { beforeEach, expect, it } from 'vitest';

import { type LayerOwner, LayerPlaces } from '../../../src/registry/layers/layer-places.ts';
import type { Layer } from '../../../src/registry/manifests/listed-layers.ts';

const ROUTE = 'https://a.io https://b.io';
const OURS = { route: ROUTE, namespace: 'ours' };
const THEIRS = { route: ROUTE, namespace: 'theirs' };

function aLayer(name: string): Layer {
  return { digest: `sha256:${name.padStart(64, '0')}`, sizeBytes: 7 };
}

const LAYER = aLayer('1');

let places: LayerPlaces;
beforeEach(() => {
  places = new LayerPlaces();
});

/** Where a repository that does not have it may take it from. */
function findPlace(owner: LayerOwner, { digest }: Layer, wantedIn = 'backup/new'): string | undefined {
  const found = places.find(owner, { digest, wantedIn });
  return typeof found === 'object' ? found.repository : found;
}

it('knows where a layer is that any namespace has learned, and best what its own has', () => {
  expect(findPlace(OURS, LAYER)).toBeUndefined();
  places.learn(THEIRS, 'backup/theirs', [LAYER]);
  expect(findPlace(OURS, LAYER)).toBe('backup/theirs');
  places.learn(OURS, 'backup/ours', [LAYER]);
  expect(findPlace(OURS, LAYER)).toBe('backup/ours');
  expect(findPlace(THEIRS, LAYER)).toBe('backup/theirs');
});

it('knows nothing of a layer that came from elsewhere, or is elsewhere', { tags: 'attack-registry' }, () => {
  places.learn(OURS, 'backup/ours', [LAYER]);
  for (const route of [
    'https://evil.io https://b.io',
    'http://a.io https://b.io',
    'https://a.io https://c.io',
  ]) {
    expect(findPlace({ ...OURS, route }, LAYER)).toBeUndefined();
  }
});

it('knows that a repository has a layer, whichever has got it since', () => {
  for (const repository of ['backup/one', 'backup/two', 'backup/three']) {
    places.learn(OURS, repository, [LAYER]);
  }
  expect(findPlace(OURS, LAYER, 'backup/one')).toBe('there');
  expect(findPlace(OURS, LAYER)).toBe('backup/three');
  places.forget(ROUTE, LAYER.digest, 'backup/three');
  expect(findPlace(OURS, LAYER)).toBe('backup/two');
});

it('forgets a layer where it is not, and only there', () => {
  places.learn(OURS, 'backup/ours', [LAYER]);
  places.learn(THEIRS, 'backup/theirs', [LAYER]);
  places.forget(ROUTE, LAYER.digest, 'backup/ours');
  expect(findPlace(OURS, LAYER)).toBe('backup/theirs');
});

it(
  'lets images without end push out only what their own namespace has learned',
  { tags: 'attack-size' },
  () => {
    places = new LayerPlaces(100_000);
    places.learn(OURS, 'backup/ours', [LAYER, aLayer('2')]);
    for (let index = 0; index < 1_000; index += 1) {
      const layers = Array.from({ length: 10 }, (_, at) => aLayer(`a${index}b${at}`));
      places.learn(THEIRS, `backup/theirs-${index}`, layers);
    }
    expect(findPlace(OURS, LAYER)).toBeDefined();
    expect(findPlace(THEIRS, aLayer('a0b0'))).toBeUndefined();
    expect(findPlace(THEIRS, aLayer('a999b9'))).toBeDefined();
  },
);

it('forgets first what nobody has asked for the longest', () => {
  places = new LayerPlaces(800);
  places.learn(OURS, 'backup/ours', [aLayer('1'), aLayer('2'), aLayer('3')]);
  findPlace(OURS, aLayer('1'));
  places.learn(OURS, 'backup/ours', [aLayer('4')]);
  const known = ['1', '2', '3', '4'].filter((name) => findPlace(OURS, aLayer(name)));
  expect(known).toContain('1');
  expect(known).not.toContain('2');
});
