import { expect, it } from 'vitest';

import { mapImages } from '../../../src/cli/map/image-map.ts';
import { DIGEST, aSlot, aWorkload, annotationsOf, someSettings } from '../../support/builders.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const { REGISTRY_PREFIX: prefix, NAMING: naming } = someSettings();
const facts = { prefix, naming, sourceHosts: ['*'], policies: new Map() };

const swapped = aWorkload({
  name: 'swapped',
  slots: [aSlot(COPY)],
  annotations: annotationsOf({
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', COPY]]),
    before: new Map(),
    swappedAtMs: 1,
  }),
});

it('has one row for an image, however it is written and however often it is used', () => {
  const workloads = [
    aWorkload({ name: 'a', slots: [aSlot('nginx:1.27'), aSlot('docker.io/nginx:1.27', { name: 'b' })] }),
    aWorkload({ name: 'b', slots: [aSlot('docker.io/library/nginx:1.27')] }),
  ];
  expect(mapImages(workloads, facts)).toMatchObject([
    {
      source: 'docker.io/library/nginx:1.27',
      copy: 'backup.example/p/docker.io/library/nginx:1.27',
      swapped: false,
      workloads: ['Deployment/shop/a', 'Deployment/shop/b'],
    },
  ]);
});

it('names the very copy that a swapped workload runs', () => {
  expect(mapImages([swapped], facts)).toMatchObject([
    { source: 'docker.io/library/nginx:1.27', copy: COPY, swapped: true },
  ]);
});

it('leaves out what has no copy', () => {
  const slots = [
    aSlot('-h'),
    aSlot('nginx', { name: 'b', pullPolicy: 'Never' }),
    aSlot('backup.example/p/x', { name: 'c' }),
  ];
  expect(mapImages([aWorkload({ slots })], facts)).toEqual([]);
});
