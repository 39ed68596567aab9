/** What an image consists of, and what of it a registry does not have. */
import { createHash } from 'node:crypto';

import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import type { Platforms } from '../../../src/images/platforms.ts';
import { parseReference, withDigest } from '../../../src/images/reference.ts';
import { type BackupImageRegistry, createImageRegistry } from '../../../src/registry/image-registry.ts';
import { MEDIA_TYPES } from '../../support/image-builder.ts';
import { startServer, type Answer, type TestServer } from '../servers.ts';

const { ociIndex, ociManifest, ociLayer, dockerList, dockerManifest } = MEDIA_TYPES;
const AMD64 = { os: 'linux', architecture: 'amd64' };
const ARM64 = { os: 'linux', architecture: 'arm64', variant: 'v8' };
const UNKNOWN = { os: 'unknown', architecture: 'unknown' };
const { signal } = new AbortController();

/** A manifest or an index as a registry stores it. */
interface Stored {
  readonly mediaType: string;
  readonly digest: string;
  readonly body: string;
}

function store(mediaType: string, body: string): Stored {
  return { mediaType, digest: `sha256:${createHash('sha256').update(body).digest('hex')}`, body };
}

function aManifest(name: string, mediaType: string = ociManifest): Stored {
  return store(mediaType, JSON.stringify({ schemaVersion: 2, mediaType, annotations: { name } }));
}

function anIndex(manifests: unknown, mediaType: string = ociIndex): Stored {
  return store(mediaType, JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
}

function entryOf({ mediaType, digest }: Stored, more: object = {}): object {
  return { mediaType, digest, size: 7, ...more };
}

function manyEmptyEntries(mediaType: string): Stored {
  const entries = Array.from({ length: 1_300_000 }, () => '{}').join();
  return store(mediaType, `{"schemaVersion":2,"manifests":[${entries}]}`);
}

/** Each index in the one before it, with nothing else in it. */
function nest(innermost: Stored, depth: number): readonly Stored[] {
  const indexes = [anIndex([entryOf(innermost)])];
  while (indexes.length < depth) {
    indexes.unshift(anIndex([entryOf(indexes[0] as Stored)]));
  }
  return indexes;
}

const ONE = aManifest('one');
const TWO = aManifest('two');
const HUNDREDS = Array.from({ length: 300 }, (_, index) => aManifest(`${index}`));
const LAYER = store(ociLayer, 'a layer');

let nowMs: number;
let insecureRegistries: readonly string[];
beforeEach(() => {
  nowMs = 1_000_000;
  insecureRegistries = [];
});

function createRegistry(): BackupImageRegistry {
  const registry = createImageRegistry({
    settings: () => ({ copyConcurrency: 1, copyTimeoutMs: 1_000, insecureRegistries, copyReferrers: false }),
    configFolder: undefined,
    program: 'none',
    environment: {},
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
  });
  onTestFinished(() => registry.close());
  return registry;
}

/** A registry that has these, and can be told to send something along, or another media type. */
async function startHolding(
  held: readonly Stored[],
  change: (answer: Answer) => Answer = (answer) => answer,
): Promise<TestServer> {
  const server = await startServer(({ path }) => {
    const found = held.find(({ digest }) => path.endsWith(`/manifests/${digest}`));
    if (!found) {
      return { status: 404 };
    }
    const { mediaType, digest, body } = found;
    return change({
      status: 200,
      headers: { 'content-type': mediaType, 'docker-content-digest': digest },
      body,
    });
  });
  insecureRegistries = [...insecureRegistries, server.host];
  return server;
}

/** Method and digest of what was asked for. */
function listAsked(server: TestServer): readonly string[] {
  return server.lines().map((line) => line.replace(/ .*\//, ' '));
}

function pin({ host }: TestServer, { digest }: Stored): ReturnType<typeof withDigest> {
  return withDigest(parseReference(`${host}/app:1`), digest);
}

describe('a part of a copy', () => {
  /** What is missing of the copy, and what the backup was asked for. */
  async function findMissingPart(
    [top, ...others]: readonly [Stored, ...Stored[]],
    platforms: Platforms = 'all',
  ): Promise<{ readonly missing: string | undefined; readonly asked: readonly string[] }> {
    const backup = await startHolding([top, ...others]);
    const registry = createRegistry();
    const missing = await registry.findMissingPart(pin(backup, top), platforms, signal);
    return { missing, asked: listAsked(backup) };
  }

  const CASES: readonly (readonly [string, Platforms, Stored, readonly Stored[]])[] = [
    ['of an index', 'all', anIndex([entryOf(ONE), entryOf(TWO)]), [ONE]],
    [
      'of an index in an index',
      'all',
      anIndex([entryOf(anIndex([entryOf(ONE), entryOf(TWO)]))]),
      [anIndex([entryOf(ONE), entryOf(TWO)]), ONE],
    ],
    [
      'of an index in an index that is for a wanted platform',
      ['linux/amd64'],
      anIndex([entryOf(anIndex([entryOf(TWO, { platform: AMD64 })]), { platform: AMD64 })]),
      [anIndex([entryOf(TWO, { platform: AMD64 })])],
    ],
    [
      'of an index in an index that says nothing of platforms',
      ['linux/amd64'],
      anIndex([entryOf(anIndex([entryOf(ONE, { platform: ARM64 }), entryOf(TWO, { platform: AMD64 })]))]),
      [anIndex([entryOf(ONE, { platform: ARM64 }), entryOf(TWO, { platform: AMD64 })]), ONE],
    ],
    [
      'whose platform has nulls',
      'all',
      anIndex([entryOf(TWO, { platform: { ...AMD64, variant: null } }), entryOf(ONE, { platform: null })]),
      [ONE],
    ],
    [
      'whose platform has nulls and is wanted',
      ['linux/amd64'],
      anIndex([entryOf(TWO, { platform: { ...AMD64, variant: null } })]),
      [],
    ],
    ['that has no media type', 'all', anIndex([{ digest: TWO.digest, size: 7 }]), []],
    [
      'of an index that has no media type',
      'all',
      anIndex([{ digest: anIndex([entryOf(TWO)]).digest, mediaType: null }]),
      [anIndex([entryOf(TWO)])],
    ],
    ['beyond hundreds of others', 'all', anIndex([...HUNDREDS, TWO].map((part) => entryOf(part))), HUNDREDS],
    ['of a Docker list', 'all', anIndex([entryOf(ONE), entryOf(TWO)], dockerList), [ONE]],
  ];

  it.each(CASES)('%s is missed (PLATFORMS=%s)', async (_, platforms, top, others) => {
    expect(await findMissingPart([top, ...others], platforms)).toMatchObject({ missing: TWO.digest });
  });

  it.each(CASES)('%s is found (PLATFORMS=%s)', async (_, platforms, top, others) => {
    const { missing, asked } = await findMissingPart([top, ...others, TWO], platforms);
    expect(missing).toBeUndefined();
    expect(asked).toContain(`HEAD ${TWO.digest}`);
  });

  it('is missed when the entry after it is for no platform that is wanted', async () => {
    const top = anIndex([entryOf(TWO, { platform: AMD64 }), entryOf(ONE, { platform: ARM64 })]);
    expect(await findMissingPart([top], ['linux/amd64'])).toMatchObject({ missing: TWO.digest });
  });

  it('is an index that is missing itself', async () => {
    const inner = anIndex([entryOf(ONE)]);
    expect(await findMissingPart([anIndex([entryOf(inner)]), ONE])).toMatchObject({ missing: inner.digest });
  });

  it('is looked up once, however often it is named', { tags: 'attack-image' }, async () => {
    const inner = anIndex([entryOf(ONE), entryOf(ONE)]);
    const top = anIndex([entryOf(ONE), entryOf(inner), entryOf(inner), entryOf(ONE, { platform: AMD64 })]);
    expect(await findMissingPart([top, inner, ONE])).toEqual({
      missing: undefined,
      asked: [`GET ${top.digest}`, `GET ${inner.digest}`, `HEAD ${ONE.digest}`, `HEAD ${inner.digest}`],
    });
  });

  it('is asked for once when it is missing, however often it is named', async () => {
    const inner = anIndex([entryOf(ONE)]);
    const top = anIndex([entryOf(inner), entryOf(inner), { digest: inner.digest }]);
    expect(await findMissingPart([top])).toEqual({
      missing: inner.digest,
      asked: [`GET ${top.digest}`, `GET ${inner.digest}`],
    });
  });

  it('is looked up again and again, but what an image consists of is read once', async () => {
    const inner = anIndex([entryOf(TWO)]);
    const top = anIndex([entryOf(inner), { digest: ONE.digest }]);
    const held = [top, inner, ONE, TWO];
    const backup = await startHolding(held);
    const registry = createRegistry();
    const find = () => registry.findMissingPart(pin(backup, top), 'all', signal);
    expect(await find()).toBeUndefined();
    const first = listAsked(backup);
    expect(await find()).toBeUndefined();
    expect(listAsked(backup).slice(first.length)).toEqual(first.filter((line) => line.startsWith('HEAD')));
    held.splice(held.indexOf(TWO), 1);
    expect(await find()).toBe(TWO.digest);
    held.splice(held.indexOf(inner), 1);
    expect(await find()).toBe(inner.digest);
  });

  it('for a platform that is not copied is not looked up', async () => {
    const foreign = anIndex([entryOf(TWO)]);
    const top = anIndex([
      entryOf(ONE, { platform: ARM64 }),
      entryOf(TWO, { platform: AMD64 }),
      entryOf(foreign, { platform: AMD64 }),
      entryOf(TWO, { platform: UNKNOWN }),
    ]);
    expect(await findMissingPart([top, ONE], ['linux/arm64'])).toEqual({
      missing: undefined,
      asked: [`GET ${top.digest}`, `HEAD ${ONE.digest}`],
    });
  });

  it('is nothing that no node could run', async () => {
    expect(await findMissingPart([anIndex([entryOf(ONE), entryOf(LAYER)]), ONE])).toMatchObject({
      missing: undefined,
    });
  });

  it('is not looked for in an image for one platform', async () => {
    expect(await findMissingPart([ONE], ['linux/amd64'])).toEqual({
      missing: undefined,
      asked: [`GET ${ONE.digest}`],
    });
  });

  it.each([
    ['an index', [anIndex([entryOf(ONE, { platform: AMD64 }), entryOf(TWO, { platform: UNKNOWN })])]],
    [
      'an index whose platforms have nulls',
      [anIndex([entryOf(ONE, { platform: { ...AMD64, variant: null } })])],
    ],
    [
      'an index in an index',
      [
        anIndex([entryOf(anIndex([entryOf(ONE, { platform: AMD64 })]))]),
        anIndex([entryOf(ONE, { platform: AMD64 })]),
      ],
    ],
  ] as const)('is useless in %s when it is for none of the platforms', async (_, [top, ...others]) => {
    await expect(findMissingPart([top, ...others, ONE, TWO], ['linux/s390x'])).rejects.toMatchObject({
      reason: 'Unsupported',
      message: expect.stringContaining('has nothing for linux/s390x (PLATFORMS)'),
    });
  });

  it.each([
    ['nothing', anIndex([])],
    ['something for any platform', anIndex([{ digest: ONE.digest }, entryOf(TWO, { platform: AMD64 })])],
  ])('is not useless in an index of %s', async (_, top) => {
    expect(await findMissingPart([top, ONE], ['linux/s390x'])).toMatchObject({ missing: undefined });
  });

  it('is not said to be useless before all of the image has been read', async () => {
    const inner = anIndex([entryOf(TWO, { platform: { os: 'linux', architecture: 's390x' } })]);
    const top = anIndex([entryOf(ONE, { platform: AMD64 }), entryOf(inner)]);
    expect(await findMissingPart([top, ONE], ['linux/s390x'])).toMatchObject({ missing: inner.digest });
  });

  it('is not looked for in a copy that is gone', async () => {
    const backup = await startHolding([]);
    const found = createRegistry().findMissingPart(pin(backup, ONE), 'all', signal);
    await expect(found).rejects.toMatchObject({ reason: 'NotFound', side: 'backup' });
  });
});

describe.each(['source', 'backup'] as const)('what an image consists of, as the %s says,', (side) => {
  async function listParts(held: readonly [Stored, ...Stored[]]) {
    const server = await startHolding(held);
    return createRegistry().listParts(pin(server, held[0]), side, signal);
  }

  it.each([ociManifest, dockerManifest])('is one manifest (%s)', async (mediaType) => {
    expect(await listParts([aManifest('one', mediaType)])).toEqual({ is: 'manifest' });
  });

  it('is all manifests of an index', async () => {
    const top = anIndex([
      entryOf(ONE, { platform: AMD64 }),
      entryOf(TWO, { platform: UNKNOWN }),
      entryOf(LAYER),
    ]);
    expect(await listParts([top])).toEqual({ is: 'index', digests: new Set([ONE.digest, TWO.digest]) });
  });

  it('is everything below an index, at any depth', async () => {
    const indexes = nest(TWO, 7);
    const top = anIndex([entryOf(ONE), ...indexes.slice(0, 1).map((index) => entryOf(index))]);
    const expected = new Set([ONE, TWO, ...indexes].map(({ digest }) => digest));
    expect(await listParts([top, ...indexes])).toEqual({ is: 'index', digests: expected });
  });

  it('is found out for parts that do not say what they are', async () => {
    const inner = anIndex([entryOf(TWO)]);
    const top = anIndex([{ digest: inner.digest }, { digest: ONE.digest, mediaType: '' }]);
    const expected = new Set([ONE, TWO, inner].map(({ digest }) => digest));
    expect(await listParts([top, inner, ONE])).toEqual({ is: 'index', digests: expected });
  });

  it('is without what an index consists of that is missing', async () => {
    const inner = anIndex([entryOf(TWO)]);
    const top = anIndex([entryOf(ONE), entryOf(inner)]);
    expect(await listParts([top])).toEqual({ is: 'index', digests: new Set([ONE.digest, inner.digest]) });
  });

  it('is nothing when the image is not there', async () => {
    const server = await startHolding([]);
    expect(await createRegistry().listParts(pin(server, ONE), side, signal)).toBeUndefined();
  });

  it('is one manifest when that is what it is called, whatever is in it', async () => {
    expect(await listParts([manyEmptyEntries(dockerManifest)])).toEqual({ is: 'manifest' });
  });

  it('may be 500 manifests', async () => {
    const entries = Array.from({ length: 500 }, (_, index) => entryOf(aManifest(`${index}`)));
    expect(await listParts([anIndex(entries)])).toMatchObject({ is: 'index', digests: { size: 500 } });
  });

  it.each<[string, readonly [Stored, ...Stored[]], RegExp]>([
    [
      'more than 500 manifests',
      [anIndex(Array.from({ length: 501 }, (_, index) => entryOf(aManifest(`${index}`))))],
      /has more than 500 manifests \(501\)/,
    ],
    ['a million entries', [manyEmptyEntries(ociIndex)], /has more than 500 manifests \(1300000\)/],
    ['something that is no list', [anIndex({})], /cannot be read: it has no array "manifests"/],
    ['an entry without digest', [anIndex([entryOf(ONE), {}])], /cannot be read: manifests\[1\]\.digest/],
    ['indexes in too many others', nest(ONE, 9) as [Stored, ...Stored[]], /more than 8 indexes/],
  ])('is not %s', { tags: 'attack-image' }, async (_, held, message) => {
    await expect(listParts(held)).rejects.toMatchObject({
      reason: 'Unsupported',
      message: expect.stringMatching(message),
    });
  });

  it('is found out however often the same is named', { tags: 'attack-image' }, async () => {
    const indexes = Array.from({ length: 400 }, (_, index) =>
      anIndex([entryOf(aManifest(`${index % 50}`)), ...Array.from({ length: 499 }, () => entryOf(ONE))]),
    );
    const distinct = [...new Map(indexes.map((index) => [index.digest, index])).values()];
    const top = anIndex(distinct.map((index) => entryOf(index)));
    expect(await listParts([top, ...distinct])).toMatchObject({ digests: { size: 101 } });
  });

  it('is not more than 500 manifests in several indexes', { tags: 'attack-image' }, async () => {
    const indexes = [250, 249].map((length) =>
      anIndex(Array.from({ length }, (_, index) => entryOf(aManifest(`${index} of ${length}`)))),
    );
    const top = anIndex(indexes.map((index) => entryOf(index)));
    await expect(listParts([top, ...indexes])).rejects.toMatchObject({
      reason: 'Unsupported',
      message: expect.stringContaining('has more than 500 manifests (501)'),
    });
  });
});

describe('what is known of an image', () => {
  const INNER = anIndex([entryOf(ONE)]);
  const TOP = anIndex([entryOf(INNER), { digest: TWO.digest }]);
  const ALL = [TOP, INNER, ONE, TWO];
  const tell = (remaining: number) => (answer: Answer) => ({
    ...answer,
    headers: {
      ...answer.headers,
      'ratelimit-limit': '100;w=21600',
      'ratelimit-remaining': `${remaining};w=21600`,
    },
  });

  it('from one registry is good for all others', async () => {
    const [backup, source] = [await startHolding(ALL), await startHolding(ALL)];
    const registry = createRegistry();
    const parts = await registry.listParts(pin(backup, TOP), 'backup', signal);
    expect(await registry.listParts(pin(source, TOP), 'source', signal)).toEqual(parts);
    expect(await registry.listParts(pin(source, TWO), 'source', signal)).toEqual({ is: 'manifest' });
    expect(listAsked(source)).toEqual([]);
    expect(await registry.findMissingPart(pin(backup, TOP), 'all', signal)).toBeUndefined();
    expect(listAsked(backup).filter((line) => line.startsWith('GET')).length).toBe(3);
  });

  it(
    'is not what a registry calls a manifest although it reads like an index',
    { tags: 'attack-image' },
    async () => {
      const liar = await startHolding(ALL, (answer) => ({
        ...answer,
        headers: { ...answer.headers, 'content-type': dockerManifest },
      }));
      const backup = await startHolding([TOP, INNER, TWO]);
      const registry = createRegistry();
      expect(await registry.listParts(pin(liar, TOP), 'source', signal)).toEqual({ is: 'manifest' });
      expect(await registry.findMissingPart(pin(backup, TOP), 'all', signal)).toBe(ONE.digest);
    },
  );

  it('is not what was missing when it was read', async () => {
    const source = await startHolding([TOP, TWO]);
    const backup = await startHolding(ALL);
    const registry = createRegistry();
    const { digest: two } = TWO;
    expect(await registry.listParts(pin(source, TOP), 'source', signal)).toMatchObject({
      digests: new Set([INNER.digest, two]),
    });
    expect(await registry.listParts(pin(backup, TOP), 'backup', signal)).toMatchObject({
      digests: new Set([INNER.digest, two, ONE.digest]),
    });
  });

  it('is not read while the source leaves its last downloads to the nodes', async () => {
    let left = 20;
    const source = await startHolding(ALL, (answer) => tell(left)(answer));
    const registry = createRegistry();
    const list = () => registry.listParts(pin(source, TOP), 'source', signal);
    await registry.fetchDigest(pin(source, TOP), 'source', signal);
    const retryAtMs = nowMs + 2_160_000;
    await expect(list()).rejects.toMatchObject({ reason: 'RateLimited', side: 'source', retryAtMs });
    // A look-up costs nothing, and says whether there are more by now.
    nowMs = retryAtMs;
    await expect(list()).rejects.toMatchObject({ reason: 'RateLimited', side: 'source' });
    nowMs += 2_160_000;
    left = 100;
    expect(await list()).toMatchObject({ is: 'index' });
    left = 0;
    await registry.fetchDigest(pin(source, TOP), 'source', signal);
    expect(await list()).toMatchObject({ is: 'index' });
  });

  it('costs downloads, which are minded while it is read', async () => {
    let left = 22;
    const source = await startHolding(ALL, (answer) => {
      left -= 1;
      return tell(left)(answer);
    });
    const registry = createRegistry();
    await expect(registry.listParts(pin(source, TOP), 'source', signal)).rejects.toMatchObject({
      reason: 'RateLimited',
    });
    expect(listAsked(source)).toEqual([`GET ${TOP.digest}`, `GET ${INNER.digest}`]);
    expect(registry.readState().allowances).toEqual([{ host: source.host, remaining: 20 }]);
  });

  it('is read in the backup however little the source allows', async () => {
    const backup = await startHolding(ALL, tell(0));
    const registry = createRegistry();
    await registry.fetchDigest(pin(backup, TOP), 'source', signal);
    expect(await registry.listParts(pin(backup, TOP), 'backup', signal)).toMatchObject({ is: 'index' });
  });

  it('is not asked for while the registry wants to be left alone', async () => {
    const source = await startServer(() => ({ status: 429, headers: { 'retry-after': '120' } }));
    insecureRegistries = [source.host];
    const registry = createRegistry();
    const list = () => registry.listParts(pin(source, TOP), 'source', signal);
    await expect(list()).rejects.toMatchObject({ reason: 'RateLimited', retryAtMs: nowMs + 120_000 });
    await expect(list()).rejects.toMatchObject({ reason: 'RateLimited' });
    expect(source.received.length).toBe(1);
  });
});

describe('what a registry lacks of an image', () => {
  const S390X = { os: 'linux', architecture: 's390x' };
  const top = anIndex([
    entryOf(ONE, { platform: AMD64 }),
    entryOf(TWO, { platform: S390X }),
    entryOf(HUNDREDS[0] as Stored, { platform: UNKNOWN }),
    entryOf(HUNDREDS[1] as Stored, { platform: ARM64 }),
  ]);

  async function findAbsentParts(held: readonly Stored[], image = top): Promise<unknown> {
    const server = await startHolding(held);
    return createRegistry().findAbsentParts(pin(server, image), { side: 'source', platforms: 'all' }, signal);
  }

  it('is named with its platform, and so are the platforms that are there', async () => {
    expect(await findAbsentParts([top, ONE, HUNDREDS[1] as Stored])).toEqual({
      platforms: ['linux/amd64', 'linux/arm64'],
      missing: `${TWO.digest} (linux/s390x), ${HUNDREDS[0]?.digest} (unknown/unknown)`,
    });
  });

  it.each([
    ['v7', 'v6'],
    ['v6', 'v7'],
  ])(
    'leaves no variant of its architecture sure to do: without arm/%s, arm/%s is not named',
    async (lost, held) => {
      const arm = (variant: string): object => ({ platform: { os: 'linux', architecture: 'arm', variant } });
      const image = anIndex([
        entryOf(ONE, { platform: AMD64 }),
        entryOf(TWO, arm(held)),
        entryOf(HUNDREDS[0] as Stored, arm(lost)),
      ]);
      expect(await findAbsentParts([image, ONE, TWO], image)).toMatchObject({ platforms: ['linux/amd64'] });
    },
  );

  it(
    'is read no further than its index says, where HEAD says too little',
    { tags: 'attack-size' },
    async () => {
      const large = store(
        ociManifest,
        JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, padding: ' '.repeat(4_000_000) }),
      );
      const image = anIndex([entryOf(large, { platform: AMD64 })]);
      const server = await startHolding([image, large], ({ status, headers = {}, body = '' }) => ({
        status,
        headers: { 'content-type': String(headers['content-type']) },
        body,
      }));
      const found = createRegistry().findAbsentParts(
        pin(server, image),
        { side: 'source', platforms: 'all' },
        signal,
      );
      await expect(found).rejects.toThrow(/more than 7 bytes|larger/);
    },
  );

  it('is found at any depth', async () => {
    const nested = anIndex([entryOf(top)]);
    expect(await findAbsentParts([nested, top, ONE], nested)).toMatchObject({ platforms: ['linux/amd64'] });
  });

  it('is told in short when it is much, and without what no platform is called', async () => {
    const odd = { os: 'linux', architecture: 'a'.repeat(100) };
    const image = anIndex(HUNDREDS.map((part) => entryOf(part, { platform: odd })));
    expect(await findAbsentParts([image], image)).toEqual({
      platforms: [],
      missing: expect.stringMatching(
        /^(?:sha256:\S+ \(a platform without a proper name\),? ?){3}and 297 more$/,
      ),
    });
  });

  it('is nothing of an image that is whole, is no index, or is not there', async () => {
    const all = [top, ONE, TWO, HUNDREDS[0] as Stored, HUNDREDS[1] as Stored];
    expect(await findAbsentParts(all)).toBeUndefined();
    expect(await findAbsentParts([ONE], ONE)).toBeUndefined();
    expect(await findAbsentParts([])).toBeUndefined();
  });
});
