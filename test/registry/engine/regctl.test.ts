import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { UsageError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/images/reference.ts';
import type { Credential } from '../../../src/registry/credentials/credentials.ts';
import { createCopyMeter } from '../../../src/registry/engine/copy-meter.ts';
import {
  createCopyEngine,
  type EngineCopy,
  type EngineOptions,
} from '../../../src/registry/engine/regctl.ts';
import { waitFor } from '../../support/wait-for.ts';
import { createFakeEngine, type FakeEngine, type FakeScenario } from './fake-engine.ts';
import { recordings } from './recordings.ts';
import { aTraceLine, CONFIG_WARNING } from './trace-lines.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const JOB = {
  source: parseReference(`a.io/team/app:1@${DIGEST}`),
  copy: parseReference('b.io/backup/app:1--aaaaaaaaaaaa'),
};
const SOURCE: Credential = { kind: 'password', username: 'reader', password: 'source-s3cret' };
const BACKUP: Credential = { kind: 'password', username: 'writer', password: 'backup-s3cret' };
const SOURCE_MANIFEST = `https://a.io/v2/team/app/manifests/${DIGEST}`;
const NOW_MS = 1_000_000;

function copyWith(
  fake: FakeEngine,
  copy: Partial<EngineCopy> = {},
  options: Partial<EngineOptions> = {},
): Promise<string | undefined> {
  const engine = createCopyEngine({
    program: fake.program,
    environment: {},
    temporaryFolder: fake.folder,
    clock: { nowMs: () => NOW_MS, monotonicMs: () => 0 },
    // The fake is a Node, and takes more than the real one.
    memoryLimits: () => ({ aloneBytes: Infinity, togetherBytes: Infinity }),
    ...options,
  });
  return engine.copy({
    job: JOB,
    namespace: 'team',
    credentials: { source: SOURCE, copy: BACKUP },
    manners: { insecureRegistries: [], refusesHead: () => false },
    withReferrers: false,
    timeoutMs: 20_000,
    signal: new AbortController().signal,
    meter: createCopyMeter(),
    ...copy,
  });
}

describe('the call', () => {
  it(
    'has the references behind a double dash, and secrets only in the file on standard input',
    { tags: 'attack-secret' },
    async () => {
      const fake = await createFakeEngine();
      await copyWith(fake);
      const [call] = await fake.calls();
      expect(call?.args.join(' ')).toBe(
        `image copy -v trace --logopt json -- a.io/team/app:1@${DIGEST} b.io/backup/app:1--aaaaaaaaaaaa`,
      );
      expect(JSON.stringify([call?.args, call?.environment])).not.toContain('s3cret');
      expect(JSON.parse(call?.config ?? '')).toMatchObject({
        hosts: {
          'a.io': { user: 'reader', pass: 'source-s3cret' },
          'b.io': { user: 'writer', pass: 'backup-s3cret' },
        },
      });
      expect(call?.cwd).toBe('/');
    },
  );

  it('names the platforms that are wanted, and asks for all that is missing in a repair', async () => {
    const fake = await createFakeEngine();
    const job = { ...JOB, platforms: ['linux/amd64', 'linux/arm/v7'], isRepair: true };
    await copyWith(fake, { job });
    const [call] = await fake.calls();
    expect(call?.args.slice(6, call.args.indexOf('--'))).toEqual([
      '--force-recursive',
      '--platforms',
      'linux/amd64',
      '--platforms',
      'linux/arm/v7',
      '--platforms',
      '',
    ]);
  });

  it('asks for signatures and SBOMs when they are wanted', async () => {
    const fake = await createFakeEngine();
    await copyWith(fake, { withReferrers: true });
    const [call] = await fake.calls();
    expect(call?.args.slice(0, call.args.indexOf('--'))).toEqual(
      expect.arrayContaining(['--referrers', '--digest-tags']),
    );
  });

  it('passes on how to reach and trust registries, how much memory to be content with, and nothing else', async () => {
    const fake = await createFakeEngine();
    const passed = {
      PATH: process.env['PATH'] ?? '',
      SSL_CERT_FILE: '/certs/ca.pem',
      HTTPS_PROXY: 'http://proxy:3128',
      no_proxy: '.local',
    };
    const environment = {
      ...passed,
      HTTP_PROXY: '',
      AWS_SECRET_ACCESS_KEY: 's3cret',
      HOME: '/root',
      LC_ALL: undefined,
    };
    await copyWith(fake, {}, { environment });
    expect((await fake.calls())[0]?.environment).toEqual({
      ...passed,
      REGCTL_CONFIG: '/dev/stdin',
      GOMEMLIMIT: '64MiB',
    });
  });

  it('leaves no file behind, however it ends', { tags: 'attack-secret' }, async () => {
    const fake = await createFakeEngine();
    const before = await readdir(fake.folder);
    await copyWith(fake);
    await expect(copyWith(fake, {}, { program: '/no/such/regctl' })).rejects.toThrow(UsageError);
    expect((await readdir(fake.folder)).toSorted()).toEqual([...before, 'calls'].toSorted());
  });

  it('needs a program and a folder to write to', async () => {
    const fake = await createFakeEngine();
    await expect(copyWith(fake, {}, { program: '/no/such/regctl' })).rejects.toThrow(
      'copy engine /no/such/regctl cannot be started (ENOENT)',
    );
    await expect(copyWith(fake, {}, { temporaryFolder: '/no/such/folder' })).rejects.toThrow(
      'no file can be created in /no/such/folder (ENOENT)',
    );
  });
});

describe('a copy that succeeds', () => {
  it('brings back the digest that the backup acknowledged', async () => {
    const stderr = [
      aTraceLine({
        method: 'PUT',
        url: 'https://b.io/v2/backup/app/manifests/1--aaaaaaaaaaaa',
        status: '201 Created',
        headers: { 'Docker-Content-Digest': DIGEST },
      }),
    ];
    expect(await copyWith(await createFakeEngine({ stderr }))).toBe(DIGEST);
  });

  it('brings back nothing when nothing had to be written', async () => {
    expect(await copyWith(await createFakeEngine())).toBeUndefined();
  });

  it('gets by with a trace of any size', async () => {
    const line = aTraceLine({ method: 'HEAD', url: SOURCE_MANIFEST, status: '200 OK' });
    expect(
      await copyWith(await createFakeEngine({ stderr: Array<string>(20_000).fill(line) })),
    ).toBeUndefined();
  });
});

describe('a copy that fails', () => {
  async function fail(
    scenario: Omit<FakeScenario, 'callsPath'>,
    copy: Partial<EngineCopy> = {},
  ): Promise<unknown> {
    const fake = await createFakeEngine(scenario);
    return copyWith(fake, copy, { killAfterMs: 100 }).catch((error: unknown) => error);
  }

  it('is judged by its trace', async () => {
    const { stderr = '' } = recordings['copy:src-404-manifest-unknown/trace'] ?? {};
    const job = { ...JOB, source: parseReference('127.0.0.1:37521/demo/single:v1') };
    const error = await fail({ stderr: stderr.trimEnd().split('\n'), exit: 1 }, { job });
    expect(error).toMatchObject({ reason: 'NotFound', side: 'source' });
  });

  it('is ended when it takes too much memory, whatever it does', { tags: 'attack-image' }, async () => {
    const fake = await createFakeEngine({ hangs: true, ignoresSigterm: true });
    const copied = copyWith(
      fake,
      {},
      { memoryLimits: () => ({ aloneBytes: 1_000_000, togetherBytes: Infinity }) },
    );
    await expect(copied).rejects.toMatchObject({
      reason: 'Unsupported',
      retryable: false,
      side: 'source',
      message: expect.stringMatching(/^a\.io\/team\/app:1@.* take too much memory \(\d+ MiB\)$/),
    });
  });

  it('is tried again when it took too much memory beside others', async () => {
    const fake = await createFakeEngine({ hangs: true });
    const copied = copyWith(
      fake,
      {},
      { memoryLimits: () => ({ aloneBytes: Infinity, togetherBytes: 1_000_000 }) },
    );
    await expect(copied).rejects.toMatchObject({ reason: 'Unknown', retryable: true });
  });

  it('is ended when it reads more than any image has', { tags: 'attack-image' }, async () => {
    const url = `https://a.io/v2/team/app/manifests/sha256:${'b'.repeat(64)}`;
    const line = aTraceLine({ url, headers: { 'Content-Length': '100' } });
    const error = await fail({ stderr: Array<string>(501).fill(line), hangs: true });
    expect(error).toMatchObject({
      reason: 'Unsupported',
      side: 'source',
      message: expect.stringMatching(/ has more than 500 manifests \(501\)$/),
    });
  });

  it('is ended at its deadline, even when it does not want to', async () => {
    const error = await fail({ hangs: true, ignoresSigterm: true }, { timeoutMs: 200 });
    expect(error).toMatchObject({ name: 'RegistryError', reason: 'Timeout' });
  });

  it('is ended when nobody wants it any more, and is no failure of a registry then', async () => {
    const fake = await createFakeEngine({ hangs: true });
    const controller = new AbortController();
    const copying = copyWith(fake, { signal: controller.signal }).catch((error: unknown) => error);
    await waitFor(async () => (await fake.calls()).length > 0, { what: 'the engine to run' });
    controller.abort(new Error('lease lost'));
    expect(await copying).toEqual(new Error('lease lost'));
  });

  it('is ended when it wants to wait long for a registry', async () => {
    const limited = {
      url: SOURCE_MANIFEST,
      status: '429 Too Many Requests',
      headers: { 'Retry-After': '86400' },
    };
    const error = await fail({ stderr: [aTraceLine(limited)], hangs: true });
    expect(error).toMatchObject({ reason: 'RateLimited', side: 'source', retryAtMs: NOW_MS + 86_400_000 });
  });

  it('may wait a little for a registry', async () => {
    const limited = {
      url: SOURCE_MANIFEST,
      status: '429 Too Many Requests',
      headers: { 'Retry-After': '10' },
    };
    const stderr = [aTraceLine(limited), aTraceLine({ url: SOURCE_MANIFEST })];
    expect(await copyWith(await createFakeEngine({ stderr }))).toBeUndefined();
  });

  const chunk = { method: 'PATCH', url: 'https://b.io/v2/backup/app/blobs/uploads/1' };

  it.each([
    ['413 Payload Too Large', 'QuotaExceeded', 1],
    ['403 Forbidden', 'Unauthorized', 1],
    ['500 Internal Server Error', 'RegistryUnavailable', 3],
  ])('is ended when the backup answers %s to chunks of a layer', async (status, reason, times) => {
    const whole = aTraceLine({ ...chunk, method: 'PUT', status: '413 Payload Too Large' });
    const stderr = [whole, ...Array<string>(times).fill(aTraceLine({ ...chunk, status }))];
    expect(await fail({ stderr, hangs: true })).toMatchObject({ reason, side: 'backup' });
  });

  it('goes on when the backup refuses a layer in one piece, or now and then a chunk', async () => {
    const failed = aTraceLine({ ...chunk, status: '500 Internal Server Error' });
    const taken = aTraceLine({ ...chunk, status: '202 Accepted' });
    const whole = aTraceLine({ ...chunk, method: 'PUT', status: '413 Payload Too Large' });
    const stderr = [whole, failed, failed, taken, failed, failed, taken];
    expect(await copyWith(await createFakeEngine({ stderr }))).toBeUndefined();
  });

  it('is ended at once when it goes on without its configuration', async () => {
    const error = await fail({ stderr: [CONFIG_WARNING], hangs: true });
    expect(error).toMatchObject({ reason: 'Unknown' });
    expect(String(error)).toContain('did not accept its configuration');
  });

  it('has failed without its configuration, whatever it says at the end', async () => {
    expect(await fail({ stderr: [CONFIG_WARNING], exit: 0 })).toMatchObject({ reason: 'Unknown' });
  });

  it('does not bring a secret into its message by an echo', { tags: 'attack-secret' }, async () => {
    const error = await fail({ stderr: ['failed: you sent reader:source-s3cret'], exit: 1 });
    expect(String(error)).toContain('you sent reader:[hidden]');
  });

  it.each([
    String.raw`failed: you sent source\u002ds3cret`,
    'failed: you sent source%252Ds3cret',
    `failed: you sent ${Buffer.from('reader:source-s3cret').toString('base64')}`,
  ])('does not bring a secret into its message by %j', { tags: 'attack-secret' }, async (said) => {
    const error = await fail({ stderr: [said], exit: 1 });
    expect(String(error)).toMatch(/you sent (?:\w*)\[hidden\]/);
    expect(String(error)).not.toMatch(/s3cret|c291cmNlLXMzY3JldA/);
  });

  it('does not bring a secret into its message by what went wrong', { tags: 'attack-secret' }, async () => {
    const line = aTraceLine({ url: 'https://a.io/v2/', err: 'malformed "source%2ds3cret" in answer' });
    const error = await fail({ stderr: [line], exit: 1 });
    expect(String(error)).toContain('malformed "[hidden]" in answer');
  });
});

it('leaves a folder as it found it when the file cannot be used', async () => {
  const fake = await createFakeEngine();
  await expect(copyWith(fake, {}, { program: join(fake.folder, 'scenario.json') })).rejects.toThrow('EACCES');
  expect(await readdir(fake.folder)).toEqual(['regctl', 'scenario.json']);
});
