import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { parseReference } from '../../../src/images/reference.ts';
import type { Credential } from '../../../src/registry/credentials/credentials.ts';
import { createHttpClient } from '../../../src/registry/manifests/http-client.ts';
import { createHostSilences } from '../../../src/registry/limits/host-silences.ts';
import type { ImageAccess } from '../../../src/registry/manifests/image-access.ts';
import { createManifestClient, type ManifestClient } from '../../../src/registry/manifests/manifests.ts';
import { startServer, type Answer, type Handler, type TestServer } from '../servers.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const FOUND: Answer = { status: 200, headers: { 'docker-content-digest': DIGEST } };
const ME: Credential = { kind: 'password', username: 'me', password: 's3cret' };

let monotonicMs = 0;
beforeEach(() => {
  monotonicMs = 0;
});

function createClient(): ManifestClient {
  const http = createHttpClient({ environment: {}, timeoutMs: 10_000 });
  onTestFinished(() => http.close());
  const clock = { nowMs: () => 0, monotonicMs: () => monotonicMs };
  return createManifestClient({
    http,
    clock,
    resolveHost: async () => [],
    silences: createHostSilences(clock),
  });
}

/** A registry that wants tokens of a service, which gives out one per scope. */
async function startPair({
  token = ({ path }) => ({ status: 200, body: JSON.stringify({ token: tokenFor(path), expires_in: 300 }) }),
  challenge = (realm: string) => `Bearer realm="${realm}",service="reg"`,
}: { token?: Handler; challenge?: (realm: string) => string } = {}): Promise<{
  registry: TestServer;
  service: TestServer;
}> {
  const service = await startServer(token);
  const registry = await startServer(({ headers, path }) =>
    headers.authorization ===
    `Bearer ${tokenFor(`?scope=repository:${path.split('/').slice(2, -2).join('/')}:pull`)}`
      ? FOUND
      : { status: 401, headers: { 'www-authenticate': challenge(`${service.origin}/token`) } },
  );
  return { registry, service };
}

function tokenFor(path: string): string {
  return `token-for-${new URLSearchParams(path.split('?')[1]).get('scope')}`;
}

function anImage(server: TestServer, credential?: Credential, name = 'team/app:1'): ImageAccess {
  return {
    reference: parseReference(`${server.host}/${name}`),
    side: 'source',
    credential,
    insecureRegistries: [server.host],
    signal: new AbortController().signal,
  };
}

/** What comes back in a message that says what it was sent. */
function echo(said: string): Answer {
  return {
    status: 403,
    body: JSON.stringify({ errors: [{ code: 'DENIED', message: `${said} is not good` }] }),
  };
}

it.each<[string, (token: string) => string]>([
  ['as it is', (token) => token],
  ['in a URL', (token) => encodeURIComponent(encodeURIComponent(token))],
  ['in Base64', (token) => Buffer.from(`t:${token}`).toString('base64')],
])('hides a token that a registry says back %s', { tags: 'attack-secret' }, async (_, spell) => {
  const token = 'opaque+token/of~ours';
  const service = await startServer(() => ({ status: 200, body: JSON.stringify({ token }) }));
  const challenge = { 'www-authenticate': `Bearer realm="${service.origin}/token"` };
  const registry = await startServer(({ method, headers }) => {
    const [, sent] = headers.authorization?.split(' ') ?? [];
    const refusal: Answer = { status: 401, headers: challenge };
    return method === 'HEAD' && sent ? { status: 405 } : sent ? echo(spell(sent)) : refusal;
  });
  const error: unknown = await createClient()
    .fetchDigest(anImage(registry, ME))
    .catch((caught: unknown) => caught);
  expect(String(error)).toMatch(/\[hidden\].{0,9} is not good/);
  expect(String(error)).not.toMatch(/opaque|token%|b3BhcXV|9wYXF1/);
});

/** A registry that gives out this token, and then says that it is not good. */
async function fetchWith(token: string): Promise<unknown> {
  const service = await startServer(() => ({ status: 200, body: JSON.stringify({ token }) }));
  const challenge = { 'www-authenticate': `Bearer realm="${service.origin}/token"` };
  const registry = await startServer(({ method, headers }) => {
    const refusal: Answer = { status: 401, headers: challenge };
    return !headers.authorization ? refusal : method === 'HEAD' ? { status: 405 } : echo(token);
  });
  const found = createClient().fetchDigest(anImage(registry));
  return found.catch((error: unknown) => String(error).replaceAll(registry.host, 'a.io'));
}

it.each([
  ['e', 'e'],
  ['QQ==', 'QQ=='],
  ['registr', 'registr'],
  ['eight-ch', '[hidden]'],
])(
  'the token %s, which a registry has chosen, is told as %s',
  { tags: 'attack-registry' },
  async (token, told) => {
    expect(await fetchWith(token)).toMatch(/looking up .*: source registry a\.io answered 403 Forbidden/);
    expect(await fetchWith(token)).toContain(`(DENIED: ${told} is not good)`);
  },
);

it('a token of more than 8 KiB is none', { tags: 'attack-registry' }, async () => {
  expect(await fetchWith('x'.repeat(8 * 1024))).toContain('[hidden]');
  expect(await fetchWith('x'.repeat(8 * 1024 + 1))).toMatch(/sent no token of at most 8192 characters$/);
});

it('hides a password that a token service says back', { tags: 'attack-secret' }, async () => {
  const { registry } = await startPair({
    token: ({ headers }) =>
      echo(
        Buffer.from(headers.authorization?.split(' ')[1] ?? '', 'base64')
          .toString('hex')
          .replaceAll(/../g, '%$&'),
      ),
  });
  const found = createClient().fetchDigest(anImage(registry, ME));
  await expect(found).rejects.toThrow('%6d%65%3a[hidden] is not good');
});

describe('a registry that wants a token', () => {
  it('gets one that was fetched for nobody, when there is no credential', async () => {
    const { registry, service } = await startPair();
    expect(await createClient().fetchDigest(anImage(registry))).toBe(DIGEST);
    expect(service.received).toMatchObject([
      { method: 'GET', path: '/token?service=reg&scope=repository%3Ateam%2Fapp%3Apull' },
    ]);
    expect(service.received[0]?.headers.authorization).toBeUndefined();
  });

  it('gets one that was fetched with the password, which it never sees', async () => {
    const { registry, service } = await startPair();
    await createClient().fetchDigest(anImage(registry, ME));
    expect(service.received[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from('me:s3cret').toString('base64')}`,
    );
    expect(registry.received.map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      'Bearer token-for-repository:team/app:pull',
    ]);
  });

  it('gets one that was exchanged for a refresh token', async () => {
    const { registry, service } = await startPair({
      token: ({ body }) => ({ status: 200, body: JSON.stringify({ access_token: tokenFor(`?${body}`) }) }),
    });
    await createClient().fetchDigest(anImage(registry, { kind: 'identityToken', token: 'r+t' }));
    expect(service.received).toMatchObject([{ method: 'POST', path: '/token' }]);
    expect(Object.fromEntries(new URLSearchParams(service.received[0]?.body))).toMatchObject({
      grant_type: 'refresh_token',
      refresh_token: 'r+t',
      service: 'reg',
      scope: 'repository:team/app:pull',
    });
  });

  it('names the scope it wants', async () => {
    const { registry, service } = await startPair({
      challenge: (realm) => `Bearer realm="${realm}",scope="all"`,
    });
    const found = createClient().fetchDigest(anImage(registry));
    await expect(found).rejects.toMatchObject({ reason: 'Unauthorized' });
    expect(service.received).toMatchObject([{ path: '/token?scope=all' }]);
  });

  it('gets the same token again until that ends', async () => {
    const { registry, service } = await startPair();
    const client = createClient();
    await client.fetchDigest(anImage(registry));
    monotonicMs = 289_000;
    await client.fetchDigest(anImage(registry));
    expect(service.received.length).toBe(1);
    expect(registry.received.length).toBe(3);
    monotonicMs = 291_000;
    await client.fetchDigest(anImage(registry));
    expect(service.received.length).toBe(2);
  });

  it(
    'gets no token that was made for another repository or for somebody else',
    { tags: 'attack-secret' },
    async () => {
      const { registry, service } = await startPair();
      const client = createClient();
      await client.fetchDigest(anImage(registry));
      await client.fetchDigest(anImage(registry, undefined, 'team/other:1'));
      await client.fetchDigest(anImage(registry, ME));
      expect(service.received.length).toBe(3);
    },
  );

  it('gets a new token when it no longer likes the old one', async () => {
    const { registry, service } = await startPair({
      token: () => ({
        status: 200,
        body: JSON.stringify({
          token: service.received.length > 1 ? tokenFor('?scope=repository:team/app:pull') : 'bad',
        }),
      }),
    });
    const client = createClient();
    await expect(client.fetchDigest(anImage(registry))).rejects.toMatchObject({ reason: 'Unauthorized' });
    expect(await client.fetchDigest(anImage(registry))).toBe(DIGEST);
  });

  it.each<[number, string]>([
    [400, 'Unauthorized'],
    [401, 'Unauthorized'],
    [403, 'Unauthorized'],
    [404, 'Unauthorized'],
    [429, 'RateLimited'],
    [503, 'RegistryUnavailable'],
  ])('is not the one to blame when its token service answers %i', async (status, reason) => {
    const { registry, service } = await startPair({ token: () => ({ status }) });
    const found = createClient().fetchDigest(anImage(registry, ME));
    await expect(found).rejects.toMatchObject({ reason, side: 'source' });
    await expect(found).rejects.toThrow(`registry ${service.host} answered ${status}`);
  });

  it.each(['', '{}', '{"token":""}', '{"token":"a\\nb: c"}', '[]'])(
    'gets nothing for the token %j',
    async (body) => {
      const { registry } = await startPair({ token: () => ({ status: 200, body }) });
      await expect(createClient().fetchDigest(anImage(registry))).rejects.toMatchObject({
        reason: 'Unknown',
      });
    },
  );
});

describe('a registry that sends us elsewhere', () => {
  it.each([
    ['http://169.254.169.254/latest/meta-data/iam', 'is a link-local address'],
    ['http://0.0.0.0:1/', 'is an unspecified address'],
    ['ftp://127.0.0.1/', 'is no web address'],
    ['http://x:y@127.0.0.1/', 'contains credentials'],
  ])('for a token, to %s, gets none', { tags: 'attack-registry' }, async (realm, problem) => {
    const { registry } = await startPair({ challenge: () => `Bearer realm="${realm}"` });
    const found = createClient().fetchDigest(anImage(registry, ME));
    await expect(found).rejects.toMatchObject({ reason: 'Unauthorized', side: 'source' });
    await expect(found).rejects.toThrow(problem);
  });

  it('by a redirect, keeps our authorization to itself', { tags: 'attack-registry' }, async () => {
    const mirror = await startServer(() => FOUND);
    const registry = await startServer(({ headers }) =>
      headers.authorization
        ? { status: 307, headers: { location: `${mirror.origin}/v2/team/app/manifests/1` } }
        : { status: 401, headers: { 'www-authenticate': 'Basic' } },
    );
    expect(await createClient().fetchDigest(anImage(registry, ME))).toBe(DIGEST);
    expect(mirror.received.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  it('by a redirect, lets us be anonymous there, whoever we are at the registry', async () => {
    const { registry: mirror, service } = await startPair();
    const registry = await startServer(() => ({
      status: 307,
      headers: { location: `${mirror.origin}/v2/team/app/manifests/1` },
    }));
    expect(await createClient().fetchDigest(anImage(registry, ME))).toBe(DIGEST);
    expect(service.received.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  it('by a redirect, cannot have the password asked for', { tags: 'attack-registry' }, async () => {
    const thief = await startServer(() => ({
      status: 401,
      headers: { 'www-authenticate': 'Basic realm="x"' },
    }));
    const registry = await startServer(() => ({ status: 307, headers: { location: `${thief.origin}/x` } }));
    const found = createClient().fetchDigest(anImage(registry, ME));
    await expect(found).rejects.toMatchObject({ reason: 'Unauthorized' });
    expect(thief.received.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  it('by a redirect, does not get us into places of ours', { tags: 'attack-registry' }, async () => {
    const registry = await startServer(() => ({
      status: 307,
      headers: { location: 'http://169.254.169.254/' },
    }));
    await expect(createClient().fetchDigest(anImage(registry))).rejects.toThrow('is a link-local address');
  });

  it('by redirects without end, is left', { tags: 'attack-registry' }, async () => {
    const registry = await startServer(({ path }) => ({ status: 302, headers: { location: `${path}x` } }));
    await expect(createClient().fetchDigest(anImage(registry))).rejects.toThrow('leads nowhere');
    expect(registry.received.length).toBe(6);
  });
});
