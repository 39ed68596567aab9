import { expect, it } from 'vitest';

import { LayerPlaces } from '../../../src/registry/layers/layer-places.ts';
import type { Layer } from '../../../src/registry/manifests/listed-layers.ts';

const ROUTE = 'https://a.io https://b.io';
const OURS = { route: ROUTE, namespace: 'ours' };
const THEIRS = { route: ROUTE, namespace: 'theirs' };

function aLayer(name: string): Layer {
  return { digest: `sha256:${name.padStart(64, '0')}`, sizeBytes: 7 };
}

const LAYER = aLayer('1');

it('knows where a layer is that any namespace has learned, and best what its own has', () => {
  const places = new LayerPlaces();
  expect(places.find(OURS, LAYER.digest)).toBeUndefined();
  places.learn(THEIRS, 'backup/theirs', [LAYER]);
  expect(places.find(OURS, LAYER.digest)).toEqual({ repository: 'backup/theirs', sizeBytes: 7 });
  places.learn(OURS, 'backup/ours', [LAYER]);
  expect(places.find(OURS, LAYER.digest)?.repository).toBe('backup/ours');
  expect(places.find(THEIRS, LAYER.digest)?.repository).toBe('backup/theirs');
});

it('knows nothing of a layer that came from elsewhere, or is elsewhere', { tags: 'attack-registry' }, () => {
  const places = new LayerPlaces();
  places.learn(OURS, 'backup/ours', [LAYER]);
  for (const route of [
    'https://evil.io https://b.io',
    'http://a.io https://b.io',
    'https://a.io https://c.io',
  ]) {
    expect(places.find({ ...OURS, route }, LAYER.digest)).toBeUndefined();
  }
});

it('forgets a layer where it is not, and only there', () => {
  const places = new LayerPlaces();
  places.learn(OURS, 'backup/ours', [LAYER]);
  places.learn(THEIRS, 'backup/theirs', [LAYER]);
  places.forget(ROUTE, LAYER.digest, 'backup/ours');
  expect(places.find(OURS, LAYER.digest)?.repository).toBe('backup/theirs');
});

it(
  'lets images without end push out only what their own namespace has learned',
  { tags: 'attack-size' },
  () => {
    const places = new LayerPlaces(100_000);
    places.learn(OURS, 'backup/ours', [LAYER, aLayer('2')]);
    for (let index = 0; index < 1_000; index += 1) {
      const layers = Array.from({ length: 10 }, (_, at) => aLayer(`a${index}b${at}`));
      places.learn(THEIRS, `backup/theirs-${index}`, layers);
    }
    expect(places.find(OURS, LAYER.digest)).toBeDefined();
    expect(places.find(THEIRS, aLayer('a0b0').digest)).toBeUndefined();
    expect(places.find(THEIRS, aLayer('a999b9').digest)).toBeDefined();
  },
);

it('forgets first what nobody has asked for the longest', () => {
  const places = new LayerPlaces(700);
  places.learn(OURS, 'backup/ours', [aLayer('1'), aLayer('2'), aLayer('3')]);
  places.find(OURS, aLayer('1').digest);
  places.learn(OURS, 'backup/ours', [aLayer('4')]);
  const known = ['1', '2', '3', '4'].filter((name) => places.find(OURS, aLayer(name).digest));
  expect(known).toContain('1');
  expect(known).not.toContain('2');
});
