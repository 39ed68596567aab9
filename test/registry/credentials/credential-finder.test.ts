import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { UsageError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/images/reference.ts';
import {
  createCredentialFinder,
  type FoundCredential,
  readDockerConfig,
} from '../../../src/registry/credentials/credential-finder.ts';
import { createTemporaryFolder, writeScript } from '../temporary-folder.ts';

const IMAGE = parseReference('b.io/x:1');
const { signal } = new AbortController();
let folder: string;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});

function writeConfig(config: unknown): Promise<void> {
  return writeFile(join(folder, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
}

let monotonicMs = 0;
let problems: string[];
function createFinder(helperTimeoutMs = 10_000): (image?: typeof IMAGE) => Promise<unknown> {
  const find = createFullFinder(helperTimeoutMs);
  return async (image) => (await find(image)).credential;
}

function createFullFinder(helperTimeoutMs = 10_000): (image?: typeof IMAGE) => Promise<FoundCredential> {
  problems = [];
  const environment = {
    PATH: `${folder}:/bin:/usr/bin`,
    CLOUD_ROLE: 'puller',
    CLOUD_SECRET_KEY: 'key/of+ours',
  };
  const clock = { nowMs: () => 0, monotonicMs: () => monotonicMs };
  const find = createCredentialFinder({
    folder,
    environment,
    clock,
    helperTimeoutMs,
    onProblem: (problem) => problems.push(problem),
  });
  return (image = IMAGE) => find(image, 'source', signal);
}

describe('the config file', () => {
  it('is read anew for every look-up', async () => {
    const find = createFinder();
    expect(await find()).toBeUndefined();
    await writeConfig({ auths: { 'b.io': { username: 'me', password: 'old' } } });
    expect(await find()).toMatchObject({ password: 'old' });
    await writeConfig({ auths: { 'b.io': { username: 'me', password: 'new' } } });
    expect(await find()).toMatchObject({ password: 'new' });
  });

  it('may be missing, and so may its folder', async () => {
    expect((await readDockerConfig(folder)).credentials.size).toBe(0);
    expect((await readDockerConfig(join(folder, 'none'))).credentials.size).toBe(0);
    expect((await readDockerConfig(undefined)).credentials.size).toBe(0);
  });

  it('that is broken is named in an error, and not quoted', async () => {
    await writeConfig('{"auths": {"b.io": {"auth": "czNjcmV0"}}, "s3cret": s3cret');
    const read = readDockerConfig(folder);
    await expect(read).rejects.toThrow(UsageError);
    await expect(read).rejects.toThrow(`${join(folder, 'config.json')} cannot be used: it is not valid JSON`);
    await expect(read).rejects.not.toThrow(/s3cret|czNjcmV0/);
  });

  it('that cannot be read is an error too', async () => {
    await mkdir(join(folder, 'config.json'));
    await expect(readDockerConfig(folder)).rejects.toThrow('cannot be read (EISDIR)');
  });

  it('that is a pipe is not waited for', { tags: 'attack-size' }, async () => {
    execFileSync('mkfifo', [join(folder, 'config.json')]);
    await expect(readDockerConfig(folder)).rejects.toThrow('cannot be read (no regular file)');
  });

  it('that is very large is not taken', { tags: 'attack-size' }, async () => {
    await writeConfig({ auths: {}, padding: 'x'.repeat(1024 * 1024) });
    await expect(readDockerConfig(folder)).rejects.toThrow('cannot be read (more than 1 MiB)');
  });
});

describe('an entry that cannot be used', () => {
  it('is told once, and again when it has been good meanwhile', async () => {
    const find = createFullFinder();
    const problem = 'entry 1 of "auths" of config.json has neither a user nor a password';
    await writeConfig({ auths: { 'b.io': { auth: 'Og==' } } });
    expect(await find()).toEqual({ credential: undefined, problem });
    expect(await find(parseReference('c.io/x'))).toEqual({ credential: undefined });
    expect(problems).toEqual([problem]);
    await writeConfig({ auths: {} });
    await find();
    await writeConfig({ auths: { 'b.io': { auth: 'Og==' } } });
    await find();
    expect(problems).toEqual([problem, problem]);
  });
});

describe('a credential helper', () => {
  const writeHelper = (lines: readonly string[]): Promise<string> =>
    writeScript(folder, 'docker-credential-cloud', lines);

  beforeEach(() => writeConfig({ credHelpers: { 'b.io': 'cloud' } }));

  it('is asked for the registry, and may look at the environment', async () => {
    await writeHelper([
      'read server',
      'echo "{\\"Username\\":\\"$1-$server\\",\\"Secret\\":\\"$CLOUD_ROLE\\"}"',
    ]);
    expect(await createFinder()()).toEqual({ kind: 'password', username: 'get-b.io', password: 'puller' });
  });

  it('does not bring secrets of our environment into a message', { tags: 'attack-secret' }, async () => {
    await writeHelper(['echo "refused: key%2Fof%2Bours, $CLOUD_SECRET_KEY for $CLOUD_ROLE"; exit 1']);
    await expect(createFinder()()).rejects.toThrow('refused: [hidden], [hidden] for puller');
  });

  it('may give a refresh token', async () => {
    await writeHelper(['echo \'{"ServerURL":"b.io","Username":"<token>","Secret":"t"}\'']);
    expect(await createFinder()()).toEqual({ kind: 'identityToken', token: 't' });
  });

  it('may have nothing for a registry', async () => {
    await writeHelper(['echo "credentials not found in native keychain"; exit 1']);
    expect(await createFinder()()).toBeUndefined();
  });

  it('is asked once for a burst of look-ups, and again when its answer is old', async () => {
    await writeHelper([`echo x >> ${folder}/calls`, 'echo \'{"Username":"me","Secret":"s"}\'']);
    const find = createFinder();
    const countCalls = async (): Promise<number> =>
      (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n').length;
    await find();
    await find(parseReference('b.io/other:2'));
    expect(await countCalls()).toBe(1);
    monotonicMs += 61_000;
    await find();
    expect(await countCalls()).toBe(2);
  });

  it.each([
    {
      name: 'fails',
      script: ['echo "no role: AccessDenied"; exit 1'],
      reason: 'RegistryUnavailable',
      text: 'exit code 1: no role: AccessDenied',
    },
    {
      name: 'fails with a secret in hand',
      script: ['echo \'{"Secret":"s3cret"}\'; exit 1'],
      reason: 'RegistryUnavailable',
      text: 'exit code 1',
    },
    {
      name: 'talks nonsense',
      script: ['echo s3cret'],
      reason: 'Unknown',
      text: 'not {"Username", "Secret"}',
    },
  ])('that $name is not an empty answer', async ({ script, reason, text }) => {
    await writeHelper(script);
    const found = createFinder()();
    await expect(found).rejects.toMatchObject({ reason, side: 'source' });
    await expect(found).rejects.toThrow(text);
    await expect(found).rejects.not.toThrow('s3cret');
  });

  it('that hangs is ended', async () => {
    await writeHelper(['while :; do sleep 0.05; done']);
    await expect(createFinder(100)()).rejects.toMatchObject({ reason: 'Timeout' });
  });

  it.each([
    ['of a registry', { credHelpers: { 'b.io': 'cloud' } }],
    ['of all registries, as on a desktop', { auths: { 'b.io': {} }, credsStore: 'cloud' }],
  ])(
    '%s that is not there leaves the registry to be asked anonymously, and is told once',
    async (_, config) => {
      await writeConfig(config);
      const find = createFullFinder();
      const problem = expect.stringMatching(
        /^credential helper docker-credential-cloud, named in config.json, is not there: put it/,
      );
      expect(await find()).toEqual({ credential: undefined, problem });
      expect(await find(parseReference('b.io/other:2'))).toEqual({ credential: undefined, problem });
      expect(problems).toEqual([problem]);
      await writeHelper(['echo \'{"Username":"me","Secret":"s"}\'']);
      monotonicMs += 61_000;
      expect(await find()).toEqual({ credential: { kind: 'password', username: 'me', password: 's' } });
      expect(problems).toHaveLength(1);
    },
  );

  it('that may not be executed leaves the registry to be asked anonymously as well', async () => {
    await writeFile(join(folder, 'docker-credential-cloud'), '', { mode: 0o600 });
    const problem = expect.stringMatching(
      /docker-credential-cloud, named in config.json, cannot be started \(EACCES\)/,
    );
    expect(await createFullFinder()()).toEqual({ credential: undefined, problem });
  });

  it.each(['x/../../bin/sh', 'osx keychain', 'desktop '])('cannot be called %j', async (credsStore) => {
    await writeConfig({ credsStore });
    const problem = expect.stringContaining('cannot be the name of a program');
    expect(await createFullFinder()()).toEqual({ credential: undefined, problem });
  });

  it.each([
    ['is not there', []],
    ['has nothing', ['echo "credentials not found in native keychain"; exit 1']],
  ])('that %s leaves what the file itself has, which the kubelet reads', async (_, script) => {
    const auth = Buffer.from('me:pass').toString('base64');
    await writeConfig({ credHelpers: { 'b.io': 'cloud' }, auths: { 'b.io': { auth } } });
    await (script.length > 0 && writeHelper(script));
    expect(await createFinder()()).toEqual({ kind: 'password', username: 'me', password: 'pass' });
  });
});
