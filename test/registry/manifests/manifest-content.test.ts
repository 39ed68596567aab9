import { describe, expect, it } from 'vitest';

import { parseReference } from '../../../src/images/reference.ts';
import {
  isSameEverywhere,
  type ManifestContent,
  parseManifestContent,
} from '../../../src/registry/manifests/manifest-content.ts';
import { MEDIA_TYPES } from '../../support/image-builder.ts';

const { ociIndex, ociManifest, ociLayer, dockerList, dockerManifest, dockerLayer } = MEDIA_TYPES;
const [A, B, C] = ['a', 'b', 'c'].map((digit) => `sha256:${digit.repeat(64)}`);
const REFERENCE = parseReference(`b.io/app@sha256:${'0'.repeat(64)}`);

function parse(mediaType: string, content: unknown): ManifestContent {
  const body = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
  return parseManifestContent({ mediaType, body }, REFERENCE);
}

function parseIndex(content: unknown) {
  const parsed = parse(ociIndex, content);
  if (parsed.is !== 'index') {
    throw new Error('this is no index');
  }
  return parsed;
}

describe('what a manifest is', () => {
  it.each([
    [ociIndex, {}, 'index'],
    [dockerList, { mediaType: ociManifest }, 'index'],
    [ociManifest, { mediaType: ociIndex }, 'manifest'],
    [dockerManifest, {}, 'manifest'],
    ['', { mediaType: dockerList }, 'index'],
    ['', { mediaType: dockerManifest }, 'manifest'],
    ['application/json', { mediaType: ociManifest }, 'manifest'],
    ['text/plain', { mediaType: ociIndex }, 'index'],
    ['', {}, 'index'],
    ['application/json', { mediaType: null }, 'index'],
    ['application/json', { mediaType: 'application/x' }, 'index'],
    ['application/json', { mediaType: { toString: 7, valueOf: 7 } }, 'index'],
    ['', { manifests: undefined }, 'manifest'],
    ['', { manifests: null }, 'manifest'],
    ['', { manifests: {} }, 'manifest'],
  ])('that the registry calls %j and says of itself %j, is an %s', (mediaType, content, expected) => {
    expect(parse(mediaType, { schemaVersion: 2, manifests: [], ...content }).is).toBe(expected);
  });

  it('says the registry, without looking into it', () => {
    expect(parse(ociManifest, '"schemaVersion":2 {')).toMatchObject({
      is: 'manifest',
      sizeBytes: 19,
      layers: 0,
    });
  });

  it.each([
    [ociManifest, { layers: [] }, true],
    [ociManifest, { manifests: [] }, false],
    [ociIndex, { manifests: [] }, true],
  ])('is the same everywhere for %s with %j: %s', (mediaType, content, expected) => {
    const body = Buffer.from(JSON.stringify(content));
    expect(isSameEverywhere({ mediaType, body }, parse(mediaType, content))).toBe(expected);
  });
});

describe('the entries of an index', () => {
  it('are the manifests and the indexes, and what may be either', () => {
    const manifests = [
      { mediaType: ociManifest, digest: A, size: 7, annotations: { x: 'y' } },
      { mediaType: dockerLayer, digest: A },
      { mediaType: dockerList, digest: B },
      { mediaType: ociLayer, digest: A },
      { mediaType: null, digest: C },
      { mediaType: '', digest: C },
      { digest: C },
    ];
    expect(parseIndex({ manifests }).entries).toEqual([
      { digest: A, is: 'manifest', sizeBytes: 7 },
      { digest: B, is: 'index' },
      { digest: C, is: 'unsaid' },
      { digest: C, is: 'unsaid' },
      { digest: C, is: 'unsaid' },
    ]);
  });

  it.each([
    [
      { os: 'linux', architecture: 'arm', variant: 'v7' },
      { os: 'linux', architecture: 'arm', variant: 'v7' },
    ],
    [
      { os: 'linux', architecture: 'amd64', variant: null },
      { os: 'linux', architecture: 'amd64' },
    ],
    [{ os: null, architecture: null, variant: null, 'os.features': null }, {}],
    [
      { os: 'unknown', architecture: 'unknown' },
      { os: 'unknown', architecture: 'unknown' },
    ],
    [{}, {}],
    [null, undefined],
    [undefined, undefined],
  ])('may be for %j', (platform, expected) => {
    const { entries } = parseIndex({ manifests: [{ mediaType: ociManifest, digest: A, platform }] });
    expect(entries).toEqual([{ digest: A, is: 'manifest', platform: expected }]);
  });

  it('may be none', () => {
    expect(parse(ociIndex, { manifests: [] })).toMatchObject({ is: 'index', entries: [] });
  });

  it.each<[string, unknown, RegExp]>([
    ['no JSON', '{"schemaVersion":2,', /cannot be read: it is no JSON object$/],
    ['no JSON object', 'null', /cannot be read: it is no JSON object$/],
    ['no entries', {}, /cannot be read: it has no array "manifests"$/],
    ['null for entries', { manifests: null }, /it has no array "manifests"$/],
    ['an entry that is null', { manifests: [null] }, /manifests\[0\] is not what it has to be$/],
    ['an entry without digest', { manifests: [{ digest: A }, {}] }, /manifests\[1\]\.digest is not/],
    ['a digest that is none', { manifests: [{ digest: '../\u001B[31m' }] }, /manifests\[0\]\.digest is not/],
    [
      'a digest of a layer that is none',
      { manifests: [{ mediaType: ociLayer, digest: 'x' }] },
      /\.digest is not/,
    ],
    ['a media type that is no text', { manifests: [{ digest: A, mediaType: 7 }] }, /\[0\]\.mediaType is not/],
    ['a platform that is none', { manifests: [{ digest: A, platform: 'linux' }] }, /\[0\]\.platform is not/],
    [
      'a system that is no text',
      { manifests: [{ digest: A, platform: { os: 7 } }] },
      /\.platform\.os is not/,
    ],
    [
      'one too many',
      { manifests: Array.from({ length: 501 }, () => ({})) },
      /has more than 500 manifests \(501\)$/,
    ],
    [
      'more to say than anybody has',
      { manifests: [], annotations: Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [i, ''])) },
      /says too much of the manifests that it names$/,
    ],
  ])('are refused when there is %s', (_, content, message) => {
    expect(() => parse(ociIndex, content)).toThrow(
      expect.objectContaining({
        reason: 'Unsupported',
        message: expect.stringMatching(new RegExp(`^b\\.io/app@sha256:0+ .*${message.source}`)),
      }),
    );
  });

  it.each<[string, string, RegExp]>([
    ['empty objects', `{"manifests":[${'{},'.repeat(1_300_000)}{}]}`, /more than 500 manifests \(1300001\)$/],
    ['numbers', `{"manifests":[${'0,'.repeat(2_000_000)}0]}`, /more than 500 manifests \(2000001\)$/],
    ['texts', `{"manifests":[${'"",'.repeat(1_300_000)}""]}`, /more than 500 manifests \(1300001\)$/],
    [
      'elements in lists with one name',
      `{"manifests":[${'{},'.repeat(300)}{}],"manifests":[],"MANIFESTS":[${'{},'.repeat(300)}{}]}`,
      /more than 500 manifests \(602\)$/,
    ],
    ['lists in one another', '['.repeat(4_000_000), /says too much of the manifests that it names$/],
    [
      'lists in one another, to the end',
      `{"manifests":${'['.repeat(99_000)}${']'.repeat(99_000)}}`,
      /manifests\[0\] is not what it has to be$/,
    ],
    ['objects in one another', '{"a":'.repeat(800_000), /says too much of the manifests that it names$/],
    ['keys of a prototype', '{"__proto__":{"manifests":[]}}', /it has no array "manifests"$/],
  ])('are refused when there are many %s', { tags: 'attack-image' }, (_, content, message) => {
    expect(() => parse(ociIndex, content)).toThrow(message);
    expect(() => parse(dockerList, content)).toThrow(message);
    expect(parse(dockerManifest, content)).toMatchObject({ is: 'manifest' });
  });

  it.each([
    ['number', `{"manifests":[{"digest":"${A}","size":${'9'.repeat(4_000_000)}}]}`],
    ['text', `{"manifests":[{"digest":"${A}","size":"${'9'.repeat(4_000_000)}"}]}`],
  ])('have no size where a %s of any length stands for it', { tags: 'attack-image' }, (_, content) => {
    expect(parseIndex(content).entries).toEqual([{ digest: A, is: 'unsaid' }]);
  });

  it('are refused when it cannot be known whether there are any', () => {
    expect(() => parse('text/html', '<html>"schemaVersion":2')).toThrow('is no JSON object');
  });
});
