import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';

import { RegistryError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/images/reference.ts';
import type { CopyRequest } from '../../../src/reconcile/copies/copy-state.ts';
import { CopyStore } from '../../../src/reconcile/copies/copy-store.ts';
import { identifyImage } from '../../../src/reconcile/copies/identify-image.ts';
import { someSettings } from '../../support/builders.ts';
import { MemoryRegistry } from '../../support/memory-registry.ts';

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
/** What the tag means, and its manifests for two platforms. */
const INDEX = digest('a');
const AMD64 = digest('1');
const ARM64 = digest('2');
/** What the tag meant before, and a manifest of that. */
const OLD = digest('b');
const OLD_AMD64 = digest('3');
const FOREIGN = digest('f');

let registry: MemoryRegistry;

beforeEach(() => {
  registry = new MemoryRegistry({});
  for (const [index, parts] of [
    [OLD, [OLD_AMD64]],
    [INDEX, [AMD64, ARM64]],
  ] as const) {
    registry.put(parseReference('nginx:1.27'), index);
    registry.parts.set(index, { is: 'index', digests: new Set(parts) });
    for (const part of parts) {
      registry.put({ host: 'docker.io', repository: 'library/nginx' }, part);
      registry.parts.set(part, { is: 'manifest' });
    }
  }
});

function identify(request: Partial<CopyRequest>, before?: { readonly digest: string }) {
  const deps = {
    registry,
    copies: new CopyStore({ onWanted: () => undefined, onSettled: () => undefined }),
    settings: () => someSettings(),
    log: pino({ level: 'silent' }),
    nowMs: () => 0,
    onCopied: () => undefined,
  };
  const whole = { source: parseReference('nginx:1.27'), isProven: false, ...request };
  return identifyImage(deps, { request: whole, before }, new AbortController().signal);
}

describe('what pods report', () => {
  it.each([
    ['the image', [INDEX]],
    ['the manifest of its platform', [AMD64]],
    ['manifests of two platforms', [ARM64, AMD64]],
    ['the image on one node and a manifest on the other', [AMD64, INDEX]],
  ])('is what the tag means when it is %s', async (_, reported) => {
    expect(await identify({ reported })).toMatchObject({
      digest: INDEX,
      isProven: true,
      unlike: [],
      isOnePlatform: false,
    });
  });

  it('is the image that the tag meant when they were started', async () => {
    expect(await identify({ reported: [OLD] })).toMatchObject({ digest: OLD, isProven: true, unlike: [] });
    expect(await identify({ reported: [OLD_AMD64, OLD] })).toMatchObject({ digest: OLD, unlike: [] });
  });

  it('is an earlier image that was backed up, and the source is asked for nothing but its tag', async () => {
    const copy = { host: 'backup.example', repository: 'p/docker.io/library/nginx' };
    registry.put({ ...copy, tag: '1.27--bbbbbbbbbbbb' }, OLD);
    registry.digests.delete(`docker.io/library/nginx@${INDEX}`);
    registry.digests.delete(`docker.io/library/nginx@${OLD}`);
    expect(await identify({ reported: [OLD] })).toMatchObject({ digest: OLD, isProven: true, unlike: [] });
  });

  it('is no earlier image when all that was backed up of it is a manifest', async () => {
    const copy = { host: 'backup.example', repository: 'p/docker.io/library/nginx' };
    registry.put({ ...copy, tag: '1.27--111111111111' }, AMD64);
    expect(await identify({ reported: [AMD64] })).toMatchObject({ digest: INDEX, isOnePlatform: false });
  });

  it('is the image that was found before, of which it is a part', async () => {
    expect(await identify({ reported: [OLD_AMD64] }, { digest: OLD })).toMatchObject({
      digest: OLD,
      isOnePlatform: false,
    });
  });

  it('is the manifest of one platform when its index is not known any more', async () => {
    expect(await identify({ reported: [OLD_AMD64] })).toMatchObject({
      digest: OLD_AMD64,
      isProven: true,
      isOnePlatform: true,
    });
  });

  it('proves nothing when pods disagree, and what most of them run is taken', async () => {
    expect(await identify({ reported: [OLD, INDEX] })).toMatchObject({
      digest: OLD,
      isProven: false,
      unlike: [INDEX],
    });
    expect(await identify({ reported: [INDEX, OLD_AMD64] })).toMatchObject({
      digest: INDEX,
      isProven: false,
      unlike: [OLD_AMD64],
    });
  });

  it('says nothing when no registry has it', async () => {
    expect(await identify({ reported: [FOREIGN] })).toMatchObject({
      digest: INDEX,
      isProven: false,
      unlike: [FOREIGN],
    });
  });

  it.each([
    ['the image', INDEX, []],
    ['a part of it', ARM64, []],
    ['something else', FOREIGN, [FOREIGN]],
    ['an older image', OLD, [OLD]],
  ])('from somewhere else is only compared: %s', async (_, elsewhere, unlike) => {
    expect(await identify({ elsewhere: [elsewhere] })).toMatchObject({
      digest: INDEX,
      isProven: false,
      unlike,
    });
  });
});

describe('an image that is pinned, or held', () => {
  const pinned = parseReference(`nginx@${INDEX}`);

  it('is proven by a manifest of it that pods report', async () => {
    expect(await identify({ source: pinned, reported: [AMD64] })).toMatchObject({
      digest: INDEX,
      isProven: true,
    });
    expect(await identify({ digest: INDEX, reported: [ARM64] })).toMatchObject({ isProven: true });
  });

  it('is not by one of another image', async () => {
    expect(await identify({ source: pinned, reported: [OLD_AMD64] })).toMatchObject({
      digest: INDEX,
      isProven: false,
      unlike: [OLD_AMD64],
    });
  });

  it('is not another one than an index that shares a manifest with it: a node may know both by that', async () => {
    registry.put({ host: 'docker.io', repository: 'library/nginx' }, FOREIGN);
    registry.parts.set(FOREIGN, { is: 'index', digests: new Set([AMD64, OLD_AMD64]) });
    expect(await identify({ digest: INDEX, elsewhere: [FOREIGN] })).toMatchObject({ unlike: [] });
    // Who may read one that shares a manifest need not be allowed to read this one.
    expect(await identify({ digest: INDEX, reported: [FOREIGN] })).toMatchObject({
      isProven: false,
      unlike: [],
    });
    registry.parts.set(FOREIGN, { is: 'index', digests: new Set([OLD_AMD64]) });
    expect(await identify({ digest: INDEX, elsewhere: [FOREIGN] })).toMatchObject({ unlike: [FOREIGN] });
  });

  it('is asked for nowhere when no pod reports anything else', async () => {
    registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'source' });
    expect(await identify({ source: pinned, isProven: true })).toMatchObject({
      digest: INDEX,
      isProven: true,
    });
    expect(await identify({ digest: OLD })).toMatchObject({ digest: OLD });
  });
});

describe('a source that does not answer', () => {
  beforeEach(() => {
    registry.failure = new RegistryError('down', { reason: 'RegistryUnavailable', side: 'source' });
  });

  it('does not make another image of what holds a copy', async () => {
    const copy = { host: 'backup.example', repository: 'p/docker.io/library/nginx' };
    registry.put(copy, INDEX);
    expect(await identify({ digest: INDEX, elsewhere: [FOREIGN] })).toMatchObject({ unlike: [] });
  });

  it('does not keep what pods run from being found in the backup', async () => {
    registry.put({ host: 'backup.example', repository: 'p/docker.io/library/nginx' }, INDEX);
    expect(await identify({ reported: [INDEX] })).toMatchObject({ digest: INDEX, isOnePlatform: false });
    expect(await identify({ reported: [AMD64] }, { digest: INDEX })).toMatchObject({ digest: INDEX });
  });

  it.each([{}, { reported: [INDEX] }])('is why nobody knows what it has: %j', async (request) => {
    await expect(identify(request)).rejects.toThrow('down');
  });
});

it('does not make an image of a tag that is gone', async () => {
  registry.digests.delete('docker.io/library/nginx:1.27');
  await expect(identify({})).rejects.toThrow(/does not exist/);
  await expect(identify({ reported: [FOREIGN] })).rejects.toThrow(/does not exist/);
  expect(await identify({ reported: [INDEX] })).toMatchObject({ digest: INDEX });
});
