import { expect, describe, it, onTestFinished } from 'vitest';

import { parseReference } from '../../../src/images/reference.ts';
import type { Credential } from '../../../src/registry/credentials/credentials.ts';
import { createHostSilences } from '../../../src/registry/limits/host-silences.ts';
import { createAuthorizer } from '../../../src/registry/manifests/authorizer.ts';
import { createHttpClient } from '../../../src/registry/manifests/http-client.ts';
import { createLayerClient, type LayerClient } from '../../../src/registry/manifests/layer-client.ts';
import type { ImageAccess } from '../../../src/registry/manifests/image-access.ts';
import { startServer, type Answer, type TestServer } from '../servers.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const LAYER = { digest: DIGEST, from: 'backup/other' };
const ME: Credential = { kind: 'password', username: 'me', password: 's3cret' };

function createClient(): LayerClient {
  const http = createHttpClient({ environment: {}, timeoutMs: 10_000 });
  onTestFinished(() => http.close());
  const clock = { nowMs: () => 0, monotonicMs: () => 0 };
  const deps = { http, clock, resolveHost: async () => [], silences: createHostSilences(clock) };
  return createLayerClient(deps, createAuthorizer(deps));
}

function anImage(server: TestServer, credential?: Credential): ImageAccess {
  return {
    reference: parseReference(`${server.host}/backup/app:1`),
    side: 'backup',
    credential,
    insecureRegistries: [server.host],
    signal: new AbortController().signal,
  };
}

describe('a layer', () => {
  it.each([
    [200, true],
    [404, false],
  ])('is looked for with one HEAD: %i', async (status, expected) => {
    const server = await startServer(() => ({ status }));
    expect(await createClient().hasLayer(anImage(server), DIGEST)).toBe(expected);
    expect(server.lines()).toEqual([`HEAD /v2/backup/app/blobs/${DIGEST}`]);
  });

  it('is not known to be there when the registry says something else', async () => {
    const server = await startServer(() => ({ status: 405 }));
    await expect(createClient().hasLayer(anImage(server), DIGEST)).rejects.toMatchObject({ side: 'backup' });
  });

  it.each([
    [201, 'mounted'],
    [404, 'missing'],
    [401, 'refused'],
    [403, 'refused'],
    [405, 'refused'],
    [500, 'refused'],
    [307, 'refused'],
  ])('is mounted with one request: %i → %s', async (status, expected) => {
    const server = await startServer(({ method }) => ({
      status,
      headers: { location: '/elsewhere', ...(method === 'POST' && { 'www-authenticate': 'Basic' }) },
    }));
    const mounting = createClient().mountLayer(anImage(server, ME), LAYER);
    expect(await mounting).toBe(expected);
    expect(server.received[0]?.path).toBe(
      `/v2/backup/app/blobs/uploads/?mount=${encodeURIComponent(DIGEST)}&from=backup%2Fother`,
    );
    expect(new Set(server.lines())).toEqual(new Set(['POST /v2/backup/app/blobs/uploads/']));
  });

  it('lets the registry say for how long it is to be left alone', async () => {
    const server = await startServer(() => ({ status: 429, headers: { 'retry-after': '60' } }));
    const mounting = createClient().mountLayer(anImage(server), LAYER);
    await expect(mounting).rejects.toMatchObject({ reason: 'RateLimited', retryAtMs: 60_000 });
  });
});

describe('a repository that nobody can look into', () => {
  it('is tried by beginning an upload, which is ended again', async () => {
    const location = '/v2/backup/app/blobs/uploads/7';
    const server = await startServer(({ method }) => ({
      status: method === 'POST' ? 202 : 204,
      headers: { location },
    }));
    await createClient().tryUpload(anImage(server, ME));
    expect(server.lines()).toEqual(['POST /v2/backup/app/blobs/uploads/', `DELETE ${location}`]);
  });

  it.each([
    [403, 'Unauthorized'],
    [404, 'NotFound'],
    [503, 'RegistryUnavailable'],
  ])('says with %i that it takes none', async (status, reason) => {
    const server = await startServer(() => ({ status }));
    const tried = createClient().tryUpload(anImage(server));
    await expect(tried).rejects.toMatchObject({ reason, side: 'backup' });
    await expect(tried).rejects.toThrow(
      /^beginning to write \S+\/backup\/app:1: backup registry .* to POST layer/,
    );
  });
});

describe('an upload that a registry begins instead of a mount', () => {
  async function mountAt(location: string): Promise<readonly string[]> {
    const server: TestServer = await startServer(({ method }): Answer =>
      method === 'POST'
        ? { status: 202, headers: { location: location.replace('HOST', server.host) } }
        : { status: 204 },
    );
    expect(await createClient().mountLayer(anImage(server), LAYER)).toBe('unmounted');
    return server.received.slice(1).map(({ method, path }) => `${method} ${path}`);
  }

  it.each([
    '/v2/backup/app/blobs/uploads/1?_state=x',
    'http://HOST/v2/backup/app/blobs/uploads/1?_state=x',
    '../uploads/1?_state=x',
  ])('is ended: %s', async (location) => {
    expect(await mountAt(location)).toEqual(['DELETE /v2/backup/app/blobs/uploads/1?_state=x']);
  });

  it.each([
    '',
    'http://',
    '/v2/backup/app/manifests/1',
    '/v2/backup/app/blobs/uploads/../../manifests/1',
    '/v2/backup/other/blobs/uploads/1',
    'http://me:s3cret@HOST/v2/backup/app/blobs/uploads/1',
    'http://169.254.169.254/v2/backup/app/blobs/uploads/1',
    'file:///v2/backup/app/blobs/uploads/1',
  ])('is left to itself when it is not where uploads are: %s', { tags: 'attack-registry' }, async (place) => {
    expect(await mountAt(place)).toEqual([]);
  });

  it('is left to itself when it cannot be ended', async () => {
    const server = await startServer(({ method }) =>
      method === 'POST'
        ? { status: 202, headers: { location: '/v2/backup/app/blobs/uploads/1' } }
        : { status: 405 },
    );
    expect(await createClient().mountLayer(anImage(server), LAYER)).toBe('unmounted');
  });
});

describe('the token for a mount', () => {
  async function mountWith(scope: string): Promise<readonly string[]> {
    const service = await startServer(() => ({ status: 200, body: '{"token":"both"}' }));
    const registry = await startServer(({ headers }) =>
      headers.authorization === 'Bearer both'
        ? { status: 201 }
        : {
            status: 401,
            headers: { 'www-authenticate': `Bearer realm="${service.origin}/token"${scope}` },
          },
    );
    const client = createClient();
    expect(await client.mountLayer(anImage(registry, ME), LAYER)).toBe('mounted');
    expect(await client.mountLayer(anImage(registry, ME), LAYER)).toBe('mounted');
    expect(service.received).toHaveLength(1);
    return new URL(service.received[0]?.path ?? '', service.origin).searchParams.getAll('scope');
  }

  const BOTH = ['repository:backup/app:pull,push', 'repository:backup/other:pull'];

  it('is for both repositories', async () => {
    expect(await mountWith('')).toEqual(BOTH);
  });

  it('is for both when the registry names only one', async () => {
    expect(await mountWith(`,scope="${BOTH[0]}"`)).toEqual(BOTH);
  });

  it('is what the registry asks for when it names both', async () => {
    expect(await mountWith(`,scope="${BOTH[1]} ${BOTH[0]}"`)).toEqual(BOTH.toReversed());
  });
});
