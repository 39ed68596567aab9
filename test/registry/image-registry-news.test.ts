/** What registries and the engine tell on the side: what is left, how far a copy is. */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { parseReference } from '../../src/images/reference.ts';
import type { CopyJob, CopyProgress } from '../../src/reconcile/ports.ts';
import {
  type BackupImageRegistry,
  createImageRegistry,
  type ImageRegistryOptions,
} from '../../src/registry/image-registry.ts';
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
  settings = { copyConcurrency: 4, copyTimeoutMs: 20_000, insecureRegistries: [], copyReferrers: false };
  usualSource = await startRegistry(() => FOUND);
});

function createRegistry(options: Partial<ImageRegistryOptions> = {}): BackupImageRegistry {
  const registry = createImageRegistry({
    settings: () => settings,
    configFolder,
    program: fake.program,
    environment: { PATH: process.env['PATH'] },
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    temporaryFolder: fake.folder,
    killAfterMs: 100,
    ...options,
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

describe('a registry that tells how much it still allows', () => {
  const tell = (remaining: number): Readonly<Record<string, string>> => ({
    'ratelimit-limit': '100;w=21600',
    'ratelimit-remaining': `${remaining};w=21600`,
  });
  const sourceJob = (host: string): CopyJob => ({
    ...aJob('b.io'),
    source: parseReference(`${host}/app@${DIGEST}`),
  });

  it('is left to the nodes for a while before that is used up, and may be looked at all the same', async () => {
    let left = 20;
    const source = await startRegistry(() => ({ ...FOUND, headers: { ...FOUND.headers, ...tell(left) } }));
    const registry = createRegistry();
    const look = () => registry.fetchDigest(parseReference(`${source.host}/app:1`), 'source', signal);
    expect(await look()).toBe(DIGEST);
    expect(registry.readState().allowances).toEqual([{ host: source.host, remaining: 20 }]);
    const retryAtMs = nowMs + 2_160_000;
    const copied = registry.copy(sourceJob(source.host), signal);
    await expect(copied).rejects.toMatchObject({ reason: 'RateLimited', side: 'source', retryAtMs });
    expect(await fake.calls()).toEqual([]);
    expect(await look()).toBe(DIGEST);

    nowMs = retryAtMs;
    await expect(registry.copy(sourceJob(source.host), signal)).rejects.toMatchObject({
      reason: 'RateLimited',
      retryAtMs: nowMs + 2_160_000,
    });
    nowMs += 2_160_000;
    left = 21;
    await fake.become({ stderr: [aTagWrite(sourceJob(source.host))] });
    await registry.copy(sourceJob(source.host), signal);
  });

  it('tells the copy engine, too', async () => {
    const headers = { 'Ratelimit-Limit': '100;w=21600', 'Ratelimit-Remaining': '3;w=21600' };
    const told = aTraceLine({ url: `http://${usualSource.host}/v2/team/app/manifests/${DIGEST}`, headers });
    await fake.become({ stderr: [told, aTagWrite(aJob('b.io'))] });
    const registry = createRegistry();
    await registry.copy(aJob('b.io'), signal);
    expect(registry.readState().allowances).toEqual([{ host: usualSource.host, remaining: 3 }]);
    await expect(registry.copy(aJob('b.io'), signal)).rejects.toMatchObject({ reason: 'RateLimited' });
  });

  it('is asked once more when a copy has waited for its turn: the nodes have gone on meanwhile', async () => {
    let left = 90;
    const source = await startRegistry(() => ({ ...FOUND, headers: { ...FOUND.headers, ...tell(left) } }));
    settings = { ...settings, copyConcurrency: 1 };
    const untilPath = join(fake.folder, 'go');
    await fake.become({ stderr: [aTagWrite(aJob('b.io'))], untilPath });
    const registry = createRegistry();
    const first = registry.copy(aJob('b.io'), signal);
    await waitFor(() => registry.readState().copies.length === 1, { what: 'the first copy to begin' });
    const second = registry.copy(sourceJob(source.host), signal);
    const outcome = second.catch((error: unknown) => error);
    await waitFor(() => registry.readState().allowances.length === 1, { what: 'the source to be looked at' });
    left = 1;
    nowMs += 60_000;
    await writeFile(untilPath, '');
    await first;
    expect(await outcome).toMatchObject({ reason: 'RateLimited' });
    expect(await fake.calls()).toHaveLength(1);
  });

  it('says nothing about us when it is asked as somebody else', async () => {
    const source = await startRegistry(() => ({ ...FOUND, headers: { ...FOUND.headers, ...tell(0) } }));
    const auths = { [source.host]: { username: 'me', password: 's3cret' } };
    await writeFile(join(configFolder, 'config.json'), JSON.stringify({ auths }));
    const registry = createRegistry();
    await registry.isPrivate(parseReference(`${source.host}/app:1`), 'source', signal);
    expect(registry.readState().allowances).toEqual([]);
  });
});

it('shows how far a copy is while it is made', async () => {
  const layer = `sha256:${'1'.repeat(64)}`;
  const sent: number[] = [];
  const reports: CopyProgress[] = [];
  const registry = createRegistry({ progressIntervalMs: 10, onSent: (bytes) => sent.push(bytes) });
  const job = { ...aJob('b.io'), onProgress: (progress: CopyProgress) => reports.push(progress) };
  const url = `http://b.io/v2/backup/app/blobs/uploads/1?digest=${layer}`;
  const untilPath = join(fake.folder, 'go');
  await fake.become({
    stderr: [
      JSON.stringify({ msg: 'Copy layer', layer }),
      JSON.stringify({ msg: 'Copy config', digest: DIGEST }),
      aTraceLine({
        url: `http://${usualSource.host}/v2/team/app/blobs/${layer}`,
        headers: { 'Content-Length': '700' },
      }),
      aTraceLine({ method: 'PUT', url, status: '201 Created' }),
      aTagWrite(job),
    ],
    untilPath,
  });
  const copying = registry.copy(job, signal);
  const seen = await waitFor(() => reports.find(({ layersDone }) => layersDone > 0), { what: 'a report' });
  expect(seen).toEqual({ layers: 2, layersDone: 1, bytesBegun: 700, bytesDone: 700 });
  expect(registry.readState().copies).toMatchObject([{ copy: job.copy, startedAtMs: nowMs, layersDone: 1 }]);
  await writeFile(untilPath, '');
  await copying;
  expect(registry.readState().copies).toEqual([]);
  expect(sent).toEqual([700]);
});
