import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { parseReference } from '../../src/images/reference.ts';
import type { CopyJob, ImageRegistry } from '../../src/reconcile/ports.ts';
import { createImageRegistry } from '../../src/registry/image-registry.ts';
import type { RegistrySettings } from '../../src/registry/registry-context.ts';
import { waitFor } from '../support/wait-for.ts';
import { createFakeEngine, type FakeEngine } from './engine/fake-engine.ts';
import { startServer, type Answer, type Handler, type TestServer } from './servers.ts';
import { createTemporaryFolder } from './temporary-folder.ts';
import { aTraceLine } from './engine/trace-lines.ts';

const MANIFEST = '{"schemaVersion":2}';
const DIGEST = `sha256:${createHash('sha256').update(MANIFEST).digest('hex')}`;
const FOUND: Answer = {
  status: 200,
  headers: { 'docker-content-digest': DIGEST, 'content-type': 'type/x' },
  body: MANIFEST,
};
const { signal } = new AbortController();

let nowMs: number;
let configFolder: string;
let fake: FakeEngine;
let settings: RegistrySettings;
let usualSource: TestServer;
beforeEach(async () => {
  nowMs = 1_000_000;
  configFolder = await createTemporaryFolder();
  fake = await createFakeEngine();
  // The fake engine is a Node, and takes more memory than the real one: this is room for several.
  settings = { copyConcurrency: 16, copyTimeoutMs: 20_000, insecureRegistries: [], copyReferrers: false };
  usualSource = await startRegistry(() => FOUND);
});

function createRegistry(): ImageRegistry {
  const registry = createImageRegistry({
    settings: () => settings,
    configFolder,
    program: fake.program,
    environment: { PATH: process.env['PATH'] },
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    temporaryFolder: fake.folder,
    killAfterMs: 100,
  });
  onTestFinished(() => registry.close());
  return registry;
}

async function startRegistry(handle: Handler): Promise<TestServer> {
  const server = await startServer(handle);
  settings = { ...settings, insecureRegistries: [...settings.insecureRegistries, server.host] };
  return server;
}

function aJob(host: string, name = 'app:1--aaaaaaaaaaaa'): CopyJob {
  return {
    source: parseReference(`${usualSource.host}/team/app:1@${DIGEST}`),
    copy: parseReference(`${host}/backup/${name}`),
  };
}

function aTagWrite({ copy }: CopyJob, digest = DIGEST): string {
  return aTraceLine({
    method: 'PUT',
    url: `http://${copy.host}/v2/${copy.repository}/manifests/${copy.tag}`,
    status: '201 Created',
    headers: { 'Docker-Content-Digest': digest },
  });
}

describe('a copy whose place in the backup cannot be seen', () => {
  it('is begun when the backup takes an upload', async () => {
    const backup = await startRegistry(({ method }) => ({ status: method === 'POST' ? 202 : 401 }));
    const job = { ...aJob(backup.host), isUnseen: true };
    await fake.become({ stderr: [aTagWrite(job)] });
    await createRegistry().copy(job, signal);
    expect(backup.lines()).toEqual(['POST /v2/backup/app/blobs/uploads/']);
    expect(await fake.calls()).toHaveLength(1);
  });

  it('costs the source nothing when the backup takes none', async () => {
    const backup = await startRegistry(() => ({ status: 403 }));
    const copied = createRegistry().copy({ ...aJob(backup.host), isUnseen: true }, signal);
    await expect(copied).rejects.toMatchObject({ reason: 'Unauthorized', side: 'backup' });
    expect(usualSource.lines()).toEqual([`HEAD /v2/team/app/manifests/${DIGEST}`]);
    expect(await fake.calls()).toEqual([]);
  });

  it('is not tried for an image that does not exist', { tags: 'attack-share' }, async () => {
    const backup = await startRegistry(() => ({ status: 403 }));
    const source = await startRegistry(() => ({ status: 404 }));
    const job = { ...aJob(backup.host), isUnseen: true };
    const gone = { ...job, source: { ...job.source, host: source.host } };
    await expect(createRegistry().copy(gone, signal)).rejects.toMatchObject({
      reason: 'NotFound',
      side: 'source',
    });
    expect(backup.lines()).toEqual([]);
  });
});

describe('a copy', () => {
  it('is done when the backup has acknowledged the digest', async () => {
    const job = aJob('b.io');
    await fake.become({ stderr: [aTagWrite(job)] });
    await createRegistry().copy(job, signal);
    expect(await fake.calls()).toMatchObject([
      { args: expect.arrayContaining([`${usualSource.host}/team/app:1@${DIGEST}`]) },
    ]);
  });

  it('is done when the backup is found to have the digest', async () => {
    const backup = await startRegistry(() => FOUND);
    await createRegistry().copy(aJob(backup.host), signal);
    expect(backup.lines()).toEqual(['HEAD /v2/backup/app/manifests/1--aaaaaaaaaaaa']);
  });

  it.each<[string, Handler]>([
    ['nothing', () => ({ status: 404 })],
    [
      'another digest',
      () => ({ status: 200, headers: { 'docker-content-digest': `sha256:${'b'.repeat(64)}` } }),
    ],
  ])('is not done when the backup is found to have %s', async (_, handle) => {
    const backup = await startRegistry(handle);
    const copied = createRegistry().copy(aJob(backup.host), signal);
    await expect(copied).rejects.toMatchObject({ reason: 'Unknown', side: 'backup' });
  });

  it('is not done when the backup has acknowledged another digest', async () => {
    const job = aJob('b.io');
    await fake.become({ stderr: [aTagWrite(job, `sha256:${'b'.repeat(64)}`)] });
    await expect(createRegistry().copy(job, signal)).rejects.toMatchObject({
      reason: 'Unknown',
      side: 'backup',
    });
  });

  /** A backup that holds something under the tag of the copy, and does not let it be written. */
  async function copyToImmutableTag(handle: Handler): Promise<unknown> {
    const backup = await startRegistry(handle);
    const job = aJob(backup.host);
    const { repository, tag } = job.copy;
    const url = `http://${backup.host}/v2/${repository}/manifests/${tag}`;
    const final = 'failed to put manifest: request failed: bad request [http 400]: the tag is immutable';
    await fake.become({
      stderr: [aTraceLine({ method: 'PUT', url, status: '400 Bad Request' }), final],
      exit: 1,
    });
    return createRegistry().copy(job, signal);
  }

  it('is done when the backup refuses to write a tag that holds the copy', async () => {
    await expect(copyToImmutableTag(() => FOUND)).resolves.toMatchObject({ layersSent: 0 });
  });

  it('is not done when the backup refuses to write a tag that holds another image', async () => {
    const headers = { 'docker-content-digest': `sha256:${'b'.repeat(64)}` };
    const copied = copyToImmutableTag(() => ({ status: 200, headers }));
    await expect(copied).rejects.toMatchObject({ reason: 'ImmutableTag', side: 'backup' });
  });

  it('is not begun when the source wants its credentials sent to where they must not go', async () => {
    const realm = 'http://169.254.169.254/token';
    const source = await startRegistry(() => ({
      status: 401,
      headers: { 'www-authenticate': `Bearer realm="${realm}",service="x"` },
    }));
    const auths = { [source.host]: { username: 'me', password: 's3cret' } };
    await writeFile(join(configFolder, 'config.json'), JSON.stringify({ auths }));
    const job = { ...aJob('b.io'), source: parseReference(`${source.host}/team/app:1@${DIGEST}`) };
    await expect(createRegistry().copy(job, signal)).rejects.toMatchObject({
      reason: 'Unauthorized',
      side: 'source',
    });
    expect(source.received.map(({ headers }) => headers.authorization)).toEqual([undefined]);
    expect(await fake.calls()).toEqual([]);
  });

  it('gets the credentials of its two sides and no others, as they are at that time', async () => {
    const source = await startRegistry(() => FOUND);
    const auths = Object.fromEntries(
      [source.host, 'b.io', 'c.io'].map((key) => [key, { username: key, password: 's3cret' }]),
    );
    const registry = createRegistry();
    await writeFile(join(configFolder, 'config.json'), JSON.stringify({ auths }));
    const job = { ...aJob('b.io'), source: parseReference(`${source.host}/team/app:1@${DIGEST}`) };
    await fake.become({ stderr: [aTagWrite(job)] });
    await registry.copy(job, signal);
    const [call] = await fake.calls();
    expect(Object.keys((JSON.parse(call?.config ?? '') as { readonly hosts: object }).hosts)).toEqual([
      source.host,
      'b.io',
    ]);
  });

  it('has the deadline that the settings say now', async () => {
    const registry = createRegistry();
    settings = { ...settings, copyTimeoutMs: 100 };
    await fake.become({ hangs: true });
    await expect(registry.copy(aJob('b.io'), signal)).rejects.toMatchObject({ reason: 'Timeout' });
  });

  it('waits for another one into the same repository, and for no other', async () => {
    const registry = createRegistry();
    const untilPath = join(fake.folder, 'go');
    const backup = await startRegistry(() => FOUND);
    await fake.become({ untilPath });
    const turns: string[] = [];
    const copies = ['app:1', 'app:2', 'other:1'].map((name) =>
      registry.copy({ ...aJob(backup.host, name), onTurn: () => turns.push(name) }, signal),
    );
    const startedCopies = await waitFor(
      async () => {
        const calls = await fake.calls();
        return calls.length >= 2 && calls.map(({ args }) => args.at(-1)?.split('/').at(-1));
      },
      { what: 'two copies to run' },
    );
    expect(new Set(startedCopies)).toEqual(new Set(['app:1', 'other:1']));
    expect(new Set(turns)).toEqual(new Set(['app:1', 'other:1']));
    await writeFile(untilPath, '');
    await Promise.all(copies);
    expect((await fake.calls()).length).toBe(3);
  });

  it('does not start when it is aborted while it waits', async () => {
    const registry = createRegistry();
    await fake.become({ hangs: true });
    const running = new AbortController();
    const waiting = new AbortController();
    const first = registry.copy(aJob('b.io'), running.signal);
    const second = registry.copy(aJob('b.io'), waiting.signal);
    waiting.abort(new Error('not wanted'));
    await expect(second).rejects.toThrow('not wanted');
    running.abort(new Error('lease lost'));
    await expect(first).rejects.toThrow('lease lost');
    expect((await fake.calls()).length).toBeLessThan(2);
  });
});

describe('a registry that says 429', () => {
  const LIMITED: Answer = { status: 429, headers: { 'retry-after': '120' } };

  it('is left alone by everybody until it may be asked again', async () => {
    let answer = LIMITED;
    const source = await startRegistry(() => answer);
    const registry = createRegistry();
    const retryAtMs = nowMs + 120_000;
    const ask = (name: string): Promise<string | undefined> =>
      registry.fetchDigest(parseReference(`${source.host}/${name}`), 'source', signal);
    await expect(ask('one:1')).rejects.toMatchObject({ reason: 'RateLimited', retryAtMs });
    answer = FOUND;
    nowMs += 119_000;
    await expect(ask('two:1')).rejects.toMatchObject({ reason: 'RateLimited', retryAtMs });
    const copied = registry.copy(
      { ...aJob('b.io'), source: parseReference(`${source.host}/x@${DIGEST}`) },
      signal,
    );
    await expect(copied).rejects.toMatchObject({ reason: 'RateLimited', side: 'source', retryAtMs });
    expect(source.received.length).toBe(1);
    expect(await fake.calls()).toEqual([]);
    nowMs += 1_000;
    expect(await ask('two:1')).toBe(DIGEST);
  });

  it('to the copy engine is left alone as well', async () => {
    const registry = createRegistry();
    const url = `http://${usualSource.host}/v2/team/app/manifests/${DIGEST}`;
    await fake.become({
      stderr: [aTraceLine({ url, status: '429 Too Many Requests', headers: { 'Retry-After': '60' } })],
      hangs: true,
    });
    await expect(registry.copy(aJob('b.io'), signal)).rejects.toMatchObject({
      reason: 'RateLimited',
      side: 'source',
    });
    await expect(registry.copy(aJob('c.io'), signal)).rejects.toMatchObject({
      reason: 'RateLimited',
      side: 'source',
    });
    expect((await fake.calls()).length).toBe(1);
    const other = await startRegistry(() => FOUND);
    await fake.become({ stderr: [aTagWrite(aJob('b.io'))] });
    await registry.copy({ ...aJob('b.io'), source: parseReference(`${other.host}/x@${DIGEST}`) }, signal);
  });
});

describe('a moving tag', () => {
  const copy = (host: string) => parseReference(`${host}/backup/app:1--aaaaaaaaaaaa@${DIGEST}`);

  it('is pointed at the copy', async () => {
    const backup = await startRegistry(({ method, path }) => {
      if (method === 'PUT') {
        return { status: 201 };
      }
      return path.endsWith('/1') ? { status: 404 } : FOUND;
    });
    await createRegistry().tag(copy(backup.host), '1', signal);
    expect(backup.received.map(({ method, path, body }) => `${method} ${path} ${body}`)).toEqual([
      `GET /v2/backup/app/manifests/${DIGEST} `,
      `PUT /v2/backup/app/manifests/1 ${MANIFEST}`,
    ]);
    expect(backup.received.at(-1)?.headers['content-type']).toBe('type/x');
  });

  it('cannot be pointed at a copy that is gone', async () => {
    const backup = await startRegistry(() => ({ status: 404 }));
    const tagged = createRegistry().tag(copy(backup.host), '1', signal);
    await expect(tagged).rejects.toMatchObject({ reason: 'NotFound', side: 'backup' });
  });

  it('that may not be moved is an error of the backup', async () => {
    const backup = await startRegistry(({ method, path }) => {
      if (method === 'PUT') {
        return { status: 400, body: '{"errors":[{"code":"TAG_INVALID","message":"tag is immutable"}]}' };
      }
      return path.endsWith('/1') ? { status: 404 } : FOUND;
    });
    const tagged = createRegistry().tag(copy(backup.host), '1', signal);
    await expect(tagged).rejects.toMatchObject({ reason: 'ImmutableTag', side: 'backup' });
  });
});

describe('an image', () => {
  /** Asks for a password below /team, for none elsewhere. */
  async function startHalfPrivateRegistry(): Promise<TestServer> {
    const registry = await startRegistry(({ path, headers }) =>
      path.includes('/team/') && !headers.authorization
        ? { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }
        : FOUND,
    );
    const auths = { [registry.host]: { username: 'me', password: 's3cret' } };
    await writeFile(join(configFolder, 'config.json'), JSON.stringify({ auths }));
    return registry;
  }

  it.each([
    ['team/app', true],
    ['public/app', false],
  ])('below a registry with credentials, %s, is private: %s', async (repository, expected) => {
    const { host } = await startHalfPrivateRegistry();
    expect(
      await createRegistry().isPrivate(parseReference(`${host}/${repository}:1`), 'source', signal),
    ).toBe(expected);
  });

  it('blames the registry that was asked', async () => {
    const broken = await startRegistry(() => ({ status: 500 }));
    const auths = { [broken.host]: { username: 'me', password: 's3cret' } };
    await writeFile(join(configFolder, 'config.json'), JSON.stringify({ auths }));
    const asking = createRegistry().isPrivate(parseReference(`${broken.host}/team/app:1`), 'backup', signal);
    await expect(asking).rejects.toMatchObject({ side: 'backup' });
  });

  it.each([
    ['whose entry cannot be used', { auths: { HOST: { auth: 'Og==' } } }],
    ['whose helper is not there', { credHelpers: { HOST: 'nowhere' } }],
  ])(
    'of a registry %s is private when not everybody may read it: the login may be there for the copy',
    { tags: 'attack-registry' },
    async (_, config) => {
      const { host } = await startHalfPrivateRegistry();
      await writeFile(join(configFolder, 'config.json'), JSON.stringify(config).replaceAll('HOST', host));
      const isPrivate = (name: string) =>
        createRegistry().isPrivate(parseReference(`${host}/${name}:1`), 'source', signal);
      expect(await Promise.all([isPrivate('team/app'), isPrivate('public/app')])).toEqual([true, false]);
    },
  );

  it('is not private because a registry has had enough of those without a login, where ours is none', async () => {
    const busy = await startRegistry(() => ({ status: 429, headers: { 'retry-after': '60' } }));
    await writeFile(join(configFolder, 'config.json'), JSON.stringify({ credsStore: 'desktop' }));
    const asking = createRegistry().isPrivate(parseReference(`${busy.host}/team/app:1`), 'source', signal);
    await expect(asking).rejects.toMatchObject({ reason: 'RateLimited', side: 'source' });
  });

  it('is not private when there are no credentials, and nobody is asked', async () => {
    const other = await startRegistry(() => FOUND);
    expect(
      await createRegistry().isPrivate(parseReference(`${other.host}/team/app:1`), 'source', signal),
    ).toBe(false);
    expect(other.lines()).toEqual([]);
  });
});

it.each([
  [
    { credsStore: 'desktop' },
    /; credential helper docker-credential-desktop, named in config.json, is not there/,
  ],
  [
    { auths: { HOST: { auth: 'Og==' } } },
    /; entry 1 of "auths" of config.json has neither a user nor a password/,
  ],
])(
  'asks anonymously where %j says nothing that can be used, and says so when it is refused',
  async (config, said) => {
    const registry = createRegistry();
    const source = await startRegistry(({ path }) => (path.includes('/public/') ? FOUND : { status: 401 }));
    const text = JSON.stringify(config).replace('HOST', source.host);
    await writeFile(join(configFolder, 'config.json'), text);
    const find = (name: string): Promise<unknown> =>
      registry.fetchDigest(parseReference(`${source.host}/${name}`), 'source', signal);
    expect(await find('public/app')).toBe(DIGEST);
    await expect(find('private/app')).rejects.toMatchObject({ reason: 'Unauthorized', message: said });
  },
);

it('takes broken credentials for a failure that may pass', async () => {
  await writeFile(join(configFolder, 'config.json'), '{');
  const looking = createRegistry().fetchDigest(parseReference('b.io/app:1'), 'source', signal);
  await expect(looking).rejects.toMatchObject({ name: 'RegistryError', retryable: true });
});
