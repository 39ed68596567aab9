import { expect, it } from 'vitest';

import { type ContentMemory, createContentMemory } from '../../../src/registry/content/content-memory.ts';
import type { ManifestContent } from '../../../src/registry/manifests/manifest-content.ts';

const MANIFEST: ManifestContent = { is: 'manifest', sizeBytes: 2, layers: 0, large: [] };

function anIndex(os: string): ManifestContent {
  return { is: 'index', sizeBytes: 2, entries: [{ digest: 'd', is: 'manifest', platform: { os } }] };
}

function listKnown(memory: ContentMemory, digests: string): string {
  return Array.from(digests)
    .filter((digest) => memory.recall(digest))
    .join('');
}

it('is what was remembered', () => {
  const memory = createContentMemory();
  memory.remember('a', MANIFEST);
  memory.remember('b', anIndex('linux'));
  expect(memory.recall('a')).toBe(MANIFEST);
  expect(memory.recall('b')).toEqual(anIndex('linux'));
  expect(memory.recall('c')).toBeUndefined();
});

it('forgets what nobody has asked for the longest', () => {
  const memory = createContentMemory({ mostManifests: 2, mostBytes: 100_000 });
  memory.remember('a', MANIFEST);
  memory.remember('b', MANIFEST);
  memory.recall('a');
  memory.remember('c', MANIFEST);
  expect(listKnown(memory, 'abc')).toBe('ac');
});

it('keeps no more than fits, however long the texts in it are', { tags: 'attack-size' }, () => {
  const memory = createContentMemory({ mostManifests: 100, mostBytes: 100_000 });
  for (const digest of 'abcd') {
    memory.remember(digest, anIndex('x'.repeat(15_000)));
  }
  expect(listKnown(memory, 'abcd')).toBe('bcd');
  memory.remember('e', anIndex('x'.repeat(60_000)));
  expect(listKnown(memory, 'abcde')).toBe('');
  memory.remember('f', MANIFEST);
  expect(listKnown(memory, 'f')).toBe('f');
});

it('keeps a manifest once, however often it is remembered', () => {
  const memory = createContentMemory({ mostManifests: 2, mostBytes: 100_000 });
  memory.remember('a', MANIFEST);
  for (let times = 0; times < 10; times += 1) {
    memory.remember('b', anIndex('x'.repeat(15_000)));
  }
  expect(listKnown(memory, 'ab')).toBe('ab');
});
