import { createHash } from 'node:crypto';

import { describe, expect, it, onTestFinished } from 'vitest';

import { RegistryError } from '../../../src/errors.ts';
import { DownloadsKeptError } from '../../../src/registry/limits/host-allowances.ts';
import { parseReference, type Reference } from '../../../src/images/reference.ts';
import type { Credential } from '../../../src/registry/credentials/credentials.ts';
import { createHttpClient } from '../../../src/registry/manifests/http-client.ts';
import { createHostSilences } from '../../../src/registry/limits/host-silences.ts';
import type { ImageAccess } from '../../../src/registry/manifests/image-access.ts';
import {
  createManifestClient,
  type ManifestClient,
  type ManifestClientOptions,
} from '../../../src/registry/manifests/manifests.ts';
import { startServer, type Answer, type Handler, type TestServer } from '../servers.ts';

const MANIFEST = JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json' });
const DIGEST = `sha256:${createHash('sha256').update(MANIFEST).digest('hex')}`;
const FOUND: Answer = {
  status: 200,
  headers: { 'docker-content-digest': DIGEST, 'content-type': 'application/vnd.oci.image.index.v1+json' },
  body: MANIFEST,
};
const ME: Credential = { kind: 'password', username: 'me', password: 's3cret' };
const BASIC = `Basic ${Buffer.from('me:s3cret').toString('base64')}`;
const NOW_MS = 1_000_000;

type ClientOptions = ManifestClientOptions & { readonly timeoutMs?: number };

function denied(message: string): Answer {
  return { status: 403, body: `{"errors":[{"code":"DENIED","message":"${message}"}]}` };
}

let monotonicMs = 0;
function createClient({ timeoutMs = 10_000, ...options }: ClientOptions = {}): ManifestClient {
  const http = createHttpClient({ environment: {}, timeoutMs });
  onTestFinished(() => http.close());
  const clock = { nowMs: () => NOW_MS, monotonicMs: () => monotonicMs };
  return createManifestClient(
    { http, clock, resolveHost: async () => [], silences: createHostSilences(clock) },
    options,
  );
}

function anImage(server: TestServer, options: { name?: string; credential?: Credential } = {}): ImageAccess {
  const { name = 'team/app:1', credential } = options;
  return {
    reference: parseReference(`${server.host}/${name}`),
    side: 'source',
    credential,
    insecureRegistries: [server.host],
    signal: new AbortController().signal,
  };
}

describe('a registry that answers HEAD wrongly', () => {
  const HEAD = 'HEAD /v2/team/app/manifests/1';
  const GET = 'GET /v2/team/app/manifests/1';

  it.each([400, 403, 404, 406, 501])(
    'with %i is asked with GET, and begins with that for a day',
    async (status) => {
      const server = await startServer(({ method }) => (method === 'HEAD' ? { status } : FOUND));
      const told: unknown[] = [];
      const client = createClient({ onHeadWrong: (...news) => told.push(news) });
      expect(await client.fetchDigest(anImage(server))).toBe(DIGEST);
      expect(await client.fetchHead(anImage(server))).toMatchObject({
        digest: DIGEST,
        sizeBytes: MANIFEST.length,
      });
      expect(server.lines()).toEqual([HEAD, GET, GET]);
      expect(told).toEqual([[server.host, status]]);
      monotonicMs += 24 * 3_600_000;
      expect(await client.fetchDigest(anImage(server))).toBe(DIGEST);
      expect(server.lines().slice(3)).toEqual([HEAD, GET]);
    },
  );

  const isHead = ({ method }: { readonly method: string }): boolean => method === 'HEAD';

  it('of what it has not fetched yet only, as a cache, is asked with GET all the same', async () => {
    const server = await startServer((request) =>
      isHead(request) && request.path.endsWith('/2') ? { status: 404 } : FOUND,
    );
    const client = createClient();
    await client.fetchDigest(anImage(server));
    expect(await client.fetchDigest(anImage(server, { name: 'team/app:2' }))).toBe(DIGEST);
  });

  it('as the backup is believed once it has answered one rightly: most copies are not there yet', async () => {
    const server = await startServer(({ path }) => (path.endsWith('/1') ? FOUND : { status: 404 }));
    const client = createClient();
    const find = (tag: number) =>
      client.fetchDigest({ ...anImage(server, { name: `team/app:${tag}` }), side: 'backup' });
    expect([await find(0), await find(1), await find(2)]).toEqual([undefined, DIGEST, undefined]);
    const line = (method: string, tag: number): string => `${method} /v2/team/app/manifests/${tag}`;
    expect(server.lines()).toEqual([line('HEAD', 0), line('GET', 0), HEAD, line('HEAD', 2)]);
  });

  it.each([405, 404, 403])(
    'with %i in one repository is asked with HEAD for those of others',
    { tags: 'attack-registry' },
    async (status) => {
      const server = await startServer((request) =>
        isHead(request) && request.path.includes('/evil/') ? { status } : FOUND,
      );
      const client = createClient();
      await client.fetchDigest(anImage(server, { name: 'evil/app:1' }));
      await client.fetchDigest(anImage(server));
      expect(server.lines().slice(2)).toEqual([HEAD]);
    },
  );

  it(
    'of an image that is gone, is asked with HEAD for the next one',
    { tags: 'attack-registry' },
    async () => {
      const server = await startServer((request) => {
        const refusal = isHead(request) ? 403 : 404;
        return request.path.endsWith('/0') ? { status: refusal } : FOUND;
      });
      const client = createClient();
      expect(await client.fetchDigest(anImage(server, { name: 'team/app:0' }))).toBeUndefined();
      await client.fetchDigest(anImage(server));
      expect(server.lines().slice(2)).toEqual([HEAD]);
    },
  );

  it('says with GET why it refuses', async () => {
    const server = await startServer(() => denied('not yours'));
    const found = createClient().fetchDigest(anImage(server));
    await expect(found).rejects.toThrow(/403 Forbidden to GET manifest \(DENIED: not yours\)/);
  });

  it('is not asked for a download that is kept for the nodes', async () => {
    const server = await startServer(({ method }) => (method === 'HEAD' ? { status: 404 } : FOUND));
    const kept = new RegistryError('kept', { reason: 'RateLimited', side: 'source' });
    const onDownload = (): never => {
      throw kept;
    };
    const client = createClient({ onDownload });
    await expect(client.fetchDigest(anImage(server))).rejects.toBe(kept);
    expect(server.lines()).toEqual([HEAD]);
    expect(await client.fetchDigest({ ...anImage(server), side: 'backup' })).toBe(DIGEST);
  });

  it('is believed where a second opinion would cost a kept download, once it has answered one rightly', async () => {
    const server = await startServer((request) => (request.path.endsWith('/1') ? FOUND : { status: 404 }));
    const onDownload = (): never => {
      throw new DownloadsKeptError('kept', { reason: 'RateLimited', side: 'source' });
    };
    const client = createClient({ onDownload });
    const findGone = () => client.fetchDigest(anImage(server, { name: 'team/app:0' }));
    await expect(findGone()).rejects.toThrow('kept');
    await client.fetchDigest(anImage(server));
    expect(await findGone()).toBeUndefined();
  });

  it('that knows no such repository yet does not have the image', async () => {
    const body = '{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}';
    const server = await startServer(() => ({ status: 400, body }));
    expect(await createClient().fetchDigest(anImage(server))).toBeUndefined();
  });
});

describe('looking up a digest', () => {
  it('takes one HEAD, for every kind of manifest', async () => {
    const server = await startServer(() => FOUND);
    expect(await createClient().fetchDigest(anImage(server))).toBe(DIGEST);
    expect(server.lines()).toEqual(['HEAD /v2/team/app/manifests/1']);
    expect(server.received[0]?.headers.accept?.split(', ')).toEqual([
      'application/vnd.oci.image.index.v1+json',
      'application/vnd.oci.image.manifest.v1+json',
      'application/vnd.docker.distribution.manifest.list.v2+json',
      'application/vnd.docker.distribution.manifest.v2+json',
    ]);
    expect(server.received[0]?.headers.authorization).toBeUndefined();
  });

  it('asks for the digest when the reference has one', async () => {
    const server = await startServer(() => FOUND);
    await createClient().fetchDigest(anImage(server, { name: `team/app:1@${DIGEST}` }));
    expect(server.lines()).toEqual([`HEAD /v2/team/app/manifests/${DIGEST}`]);
  });

  it('finds nothing where there is nothing', async () => {
    const server = await startServer(() => ({ status: 404 }));
    expect(await createClient().fetchDigest(anImage(server))).toBeUndefined();
  });

  it.each([
    ['does not say the digest', ({ method }) => ({ ...FOUND, headers: {}, status: method ? 200 : 0 })],
    [
      'says something else for a digest',
      () => ({ ...FOUND, headers: { 'docker-content-digest': 'sha256:x' } }),
    ],
    ['does not know HEAD', ({ method }) => (method === 'HEAD' ? { status: 405 } : { ...FOUND, headers: {} })],
  ] satisfies readonly (readonly [string, Handler])[])(
    'hashes the manifest itself when a registry %s',
    async (_, handle) => {
      const server = await startServer(handle);
      expect(await createClient().fetchDigest(anImage(server))).toBe(DIGEST);
      expect(server.lines()).toEqual(['HEAD /v2/team/app/manifests/1', 'GET /v2/team/app/manifests/1']);
    },
  );

  it('does not hash a page that is no manifest', async () => {
    const server = await startServer(() => ({ status: 200, body: '<html>please log in</html>' }));
    const found = createClient().fetchDigest(anImage(server));
    await expect(found).rejects.toMatchObject({ reason: 'Unknown', side: 'source' });
  });

  it('does not read a manifest beyond measure', { tags: 'attack-size' }, async () => {
    const server = await startServer(() => ({ status: 200, body: Buffer.alloc(4 * 1024 * 1024 + 1) }));
    const found = createClient().fetchDigest(anImage(server));
    await expect(found).rejects.toMatchObject({ reason: 'Unsupported' });
  });

  it('does not believe another digest than the one asked for', { tags: 'attack-registry' }, async () => {
    const server = await startServer(() => FOUND);
    const other = `team/app@sha256:${'b'.repeat(64)}`;
    const found = createClient().fetchDigest(anImage(server, { name: other }));
    await expect(found).rejects.toMatchObject({ reason: 'Unknown' });
  });

  it.each([
    [401, 'Unauthorized'],
    [403, 'Unauthorized'],
    [429, 'RateLimited'],
    [500, 'RegistryUnavailable'],
    [503, 'RegistryUnavailable'],
    [400, 'Unknown'],
    [412, 'Unsupported'],
  ])('takes %i for %s', async (status, reason) => {
    const server = await startServer(() => ({ status }));
    const found = createClient().fetchDigest(anImage(server));
    await expect(found).rejects.toMatchObject({ reason, side: 'source' });
  });

  it.each([
    ['30', NOW_MS + 30_000],
    ['Thu, 01 Jan 1970 01:00:00 GMT', 3_600_000],
  ])('tells when to come back from %j', async (header, retryAtMs) => {
    const server = await startServer(() => ({ status: 429, headers: { 'retry-after': header } }));
    const found = createClient().fetchDigest(anImage(server));
    await expect(found).rejects.toMatchObject({ reason: 'RateLimited', retryAtMs });
  });

  it('says what was asked of whom, and what was answered', async () => {
    const body = '{"errors":[{"code":"DENIED","message":"not\\nyours"}]}';
    const server = await startServer(({ method }) => ({ status: method === 'HEAD' ? 405 : 403, body }));
    const found = createClient().fetchDigest(anImage(server));
    await expect(found).rejects.toThrow(
      `looking up ${server.host}/team/app:1: source registry ${server.host} answered 403 Forbidden to GET manifest ` +
        '(DENIED: not yours); the image is gone or private, or the credentials do not fit',
    );
  });

  it('tells a registry that hangs from one that is not there', async () => {
    const silent = await startServer(() => undefined);
    const found = createClient({ timeoutMs: 50 }).fetchDigest(anImage(silent));
    await expect(found).rejects.toMatchObject({ reason: 'Timeout', side: 'source' });
    const gone = { ...silent, host: '127.0.0.1:1' };
    const missing = createClient().fetchDigest(anImage(gone));
    await expect(missing).rejects.toMatchObject({ reason: 'RegistryUnavailable' });
    await expect(missing).rejects.toThrow('ECONNREFUSED');
  });

  it('speaks plain http to nobody who is not listed', { tags: 'attack-secret' }, async () => {
    const server = await startServer(() => FOUND);
    const found = createClient().fetchDigest({ ...anImage(server), insecureRegistries: [] });
    await expect(found).rejects.toMatchObject({ reason: 'RegistryUnavailable' });
    expect(server.received).toEqual([]);
  });
});

describe('a registry that wants a password', () => {
  const handle: Handler = ({ headers }) =>
    headers.authorization === BASIC
      ? FOUND
      : { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } };

  it('gets it when it asks, and at once from then on', async () => {
    const server = await startServer(handle);
    const client = createClient();
    expect(await client.fetchDigest(anImage(server, { credential: ME }))).toBe(DIGEST);
    expect(await client.fetchDigest(anImage(server, { credential: ME, name: 'other:2' }))).toBe(DIGEST);
    expect(server.received.map(({ headers }) => headers.authorization)).toEqual([undefined, BASIC, BASIC]);
  });

  it('is not shown the password of before when that has changed', async () => {
    const server = await startServer(handle);
    const client = createClient();
    await client.fetchDigest(anImage(server, { credential: ME }));
    const changed: Credential = { ...ME, password: 'changed' };
    const found = client.fetchDigest(anImage(server, { credential: changed }));
    await expect(found).rejects.toMatchObject({ reason: 'Unauthorized' });
    await expect(found).rejects.not.toThrow(/changed|s3cret/);
    expect(server.received[2]?.headers.authorization).toBeUndefined();
  });

  it.each<[string, Credential | undefined]>([
    ['no credential', undefined],
    ['an identity token', { kind: 'identityToken', token: 't' }],
  ])('gets nothing when there is %s', async (_, credential) => {
    const server = await startServer(handle);
    const found = createClient().fetchDigest({ ...anImage(server), credential });
    await expect(found).rejects.toMatchObject({ reason: 'Unauthorized' });
    expect(server.received.length).toBe(1);
  });

  it('does not bring our password into a message by echoing it', { tags: 'attack-secret' }, async () => {
    const server = await startServer(({ headers }) => ({
      status: headers.authorization ? 403 : 401,
      headers: { 'www-authenticate': 'Basic' },
      body: '{"errors":[{"code":"DENIED","message":"s3cret is wrong"}]}',
    }));
    const pinned = { ...anImage(server, { credential: ME }).reference, digest: DIGEST };
    const found = createClient().fetchManifest({ ...anImage(server, { credential: ME }), reference: pinned });
    await expect(found).rejects.toThrow('[hidden] is wrong');
  });

  it.each<[string, (authorization: string) => Answer]>([
    ['escaped in JSON', () => denied(String.raw`s3c\u0072et is wrong`)],
    ['in Base64 of something else', () => denied(Buffer.from('{"p":"s3cret"}').toString('base64'))],
    ['as it was sent', (authorization) => denied(authorization)],
    ['in the name of a host', () => ({ status: 307, headers: { location: 'http://s3cret.localhost:1/' } })],
  ])('does not bring our password into a message %s', { tags: 'attack-secret' }, async (_, answer) => {
    const server = await startServer(({ headers }) =>
      headers.authorization
        ? answer(headers.authorization)
        : { status: 401, headers: { 'www-authenticate': 'Basic' } },
    );
    const pinned = { ...anImage(server, { credential: ME }).reference, digest: DIGEST };
    const found = createClient().fetchManifest({ ...anImage(server, { credential: ME }), reference: pinned });
    const error: unknown = await found.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(RegistryError);
    expect(String(error)).toContain('[hidden]');
    expect(String(error)).not.toMatch(/s3c|czNjcmV0|MzY3JldC|zM2NyZX/);
  });
});

describe('a manifest', () => {
  function pin(image: ImageAccess): ImageAccess & { reference: Reference & { digest: string } } {
    return { ...image, reference: { ...image.reference, digest: DIGEST } };
  }

  it('is read by its digest, and checked', async () => {
    const server = await startServer(() => FOUND);
    const manifest = await createClient().fetchManifest(pin(anImage(server)));
    expect(manifest?.body.toString()).toBe(MANIFEST);
    expect(manifest?.mediaType).toBe('application/vnd.oci.image.index.v1+json');
    const forged = await startServer(() => ({ ...FOUND, body: MANIFEST.replace('2', '1') }));
    await expect(createClient().fetchManifest(pin(anImage(forged)))).rejects.toMatchObject({
      reason: 'Unknown',
    });
  });

  it('may not be there', async () => {
    const server = await startServer(() => ({ status: 404 }));
    expect(await createClient().fetchManifest(pin(anImage(server)))).toBeUndefined();
  });

  it('is written under a tag as it was read', async () => {
    const server = await startServer(() => ({ status: 201 }));
    const manifest = { mediaType: 'application/vnd.oci.image.index.v1+json', body: Buffer.from(MANIFEST) };
    await createClient().pushManifest({ ...anImage(server), side: 'backup' }, manifest);
    expect(server.received).toMatchObject([
      {
        method: 'PUT',
        path: '/v2/team/app/manifests/1',
        headers: { 'content-type': manifest.mediaType },
        body: MANIFEST,
      },
    ]);
  });

  it.each([
    [403, 'DENIED', 'Unauthorized'],
    [409, 'TAG_IMMUTABLE', 'ImmutableTag'],
    [400, 'ImageTagAlreadyExistsException', 'ImmutableTag'],
    [413, '', 'QuotaExceeded'],
    [307, '', 'Unknown'],
  ])('that is refused with %i %s is %s', async (status, code, reason) => {
    const body = `{"errors":[{"code":"${code}"}]}`;
    const server = await startServer(() => ({ status, body, headers: { location: '/elsewhere' } }));
    const pushed = createClient().pushManifest(
      { ...anImage(server), side: 'backup' },
      { mediaType: 'x', body: Buffer.from(MANIFEST) },
    );
    await expect(pushed).rejects.toMatchObject({ reason, side: 'backup' });
    expect(server.received.length).toBe(1);
  });
});
