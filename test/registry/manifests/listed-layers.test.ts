import { expect, it } from 'vitest';

import { listLargeLayers } from '../../../src/registry/manifests/listed-layers.ts';

const LARGE = 128 * 1024;

function digestOf(name: number): string {
  return `sha256:${String(name).padStart(64, '0')}`;
}

function list(manifest: object): readonly string[] {
  return listLargeLayers(Buffer.from(JSON.stringify(manifest))).map(
    ({ digest, sizeBytes }) => `${Number(digest.slice('sha256:'.length))}: ${sizeBytes}`,
  );
}

function aLayer(name: number, size = LARGE, more: object = {}): object {
  return { digest: digestOf(name), size, ...more };
}

it('lists layers and configuration, each once, the largest first, and leaves small ones out', () => {
  const layers = [aLayer(1), aLayer(2, LARGE - 1), aLayer(3, LARGE + 7), aLayer(1)];
  expect(list({ config: aLayer(4, LARGE + 1), layers })).toEqual([
    `3: ${LARGE + 7}`,
    `4: ${LARGE + 1}`,
    `1: ${LARGE}`,
  ]);
});

it('lists no more than runtimes take', () => {
  const layers = Array.from({ length: 900 }, (_, index) => aLayer(index, LARGE + index));
  const listed = list({ layers });
  expect(listed).toHaveLength(127);
  expect(listed[0]).toBe(`899: ${LARGE + 899}`);
});

it(
  'leaves out what the registry need not have, because it is kept elsewhere',
  { tags: 'attack-image' },
  () => {
    const foreign = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
    const elsewhere = 'application/vnd.oci.image.layer.nondistributable.v1.tar';
    const layers = [
      aLayer(1, LARGE, { urls: ['https://a.example/layer'] }),
      aLayer(2, LARGE, { mediaType: foreign }),
      aLayer(3, LARGE, { mediaType: elsewhere }),
      aLayer(4, LARGE, { mediaType: 'application/vnd.oci.image.layer.v1.tar', urls: [] }),
    ];
    expect(list({ layers })).toEqual([`4: ${LARGE}`]);
  },
);

it.each<[string, object]>([
  ['no list', { layers: {} }],
  ['nothing', {}],
  ['texts', { layers: ['x', null, 7] }],
  ['no digests', { layers: [{ digest: '../../x', size: LARGE }] }],
  ['sizes that are none', { layers: [aLayer(1, -LARGE), aLayer(2, 1e300), aLayer(3, LARGE + 0.5)] }],
  ['too many values', { layers: [], more: Array.from({ length: 100_001 }, () => ({})) }],
])('lists none of a manifest that has %s', { tags: 'attack-image' }, (_, manifest) => {
  expect(list(manifest)).toEqual([]);
});

it('lists none of what is no JSON', () => {
  expect(listLargeLayers(Buffer.from('<html>'))).toEqual([]);
});
