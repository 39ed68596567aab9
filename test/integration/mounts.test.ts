/** Layers that several images have in common, with real registries and the real engine. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { parseReference } from '../../src/images/reference.ts';
import type { CopyJob } from '../../src/reconcile/ports.ts';
import { type BackupImageRegistry, createImageRegistry } from '../../src/registry/image-registry.ts';
import { dockerConfigFor } from '../support/docker-config.ts';
import { type FaultyRegistry, type FaultyRequest, startFaultyRegistry } from '../support/faulty-registry.ts';
import { buildImage, type ImageSpec } from '../support/image-builder.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { findDigest, pushImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { startTokenService } from '../support/token-service.ts';
import { waitFor } from '../support/wait-for.ts';

const { tools, processes } = connectToCluster();
const MIB = 1024 * 1024;
const BASE = [{ path: 'base', bytes: Buffer.alloc(3 * MIB, 'base') }];
const { signal } = new AbortController();
const [baseLayer] = (await buildImage(aSpec('x'))).blobs.toSorted((a, b) => b.bytes.length - a.bytes.length);
const BASE_DIGEST = baseLayer?.digest ?? '';
const BASE_BYTES = baseLayer?.bytes.length ?? 0;

let count = 0;
let realSource: Registry;
let realBackup: Registry;
let source: FaultyRegistry;
let backup: FaultyRegistry;
let copyReferrers: boolean;
let registry: BackupImageRegistry;

beforeEach(async () => {
  count += 1;
  copyReferrers = false;
  realSource = await startRegistry({ tools, processes, name: `mounts-source-${count}` });
  realBackup = await startRegistry({
    tools,
    processes,
    name: `mounts-backup-${count}`,
    takesPartialImages: true,
  });
  [source, backup] = (await Promise.all([realSource, realBackup].map(startFaultyRegistry))) as [
    FaultyRegistry,
    FaultyRegistry,
  ];
  registry = createRegistry([source.host, backup.host]);
});

afterEach(async () => {
  await Promise.all([source.close(), backup.close()]);
  await Promise.all([realSource.stop(), realBackup.stop()]);
});

function createRegistry(hosts: readonly string[], configFolder?: string): BackupImageRegistry {
  const created = createImageRegistry({
    settings: () => ({
      copyConcurrency: 8,
      copyTimeoutMs: 60_000,
      insecureRegistries: hosts,
      copyReferrers,
    }),
    configFolder,
    program: tools.regctl,
    environment: { PATH: process.env['PATH'] },
    clock: systemClock,
  });
  onTestFinished(() => created.close());
  return created;
}

/** An image on top of the base, with a layer of its own. */
function aSpec(content: string, format: ImageSpec['format'] = 'oci-manifest'): ImageSpec {
  return { format, content, layers: [BASE, [{ path: 'own', bytes: Buffer.alloc(MIB, content) }]] };
}

interface Ordered {
  readonly job: CopyJob;
  readonly digest: string;
  /** In the backup. */
  readonly repository: string;
}

async function order(
  name: string,
  more: Partial<CopyJob> & { format?: ImageSpec['format'] } = {},
): Promise<Ordered> {
  const { format, ...rest } = more;
  const repository = `team/${name}`;
  const { digest } = await pushImage(realSource, { repository, tag: '1.0', spec: aSpec(name, format) });
  return { job: { ...aJob(source.host, name, digest), ...rest }, digest, repository: `backup/${repository}` };
}

function aJob(host: string, name: string, digest: string): CopyJob {
  return {
    source: parseReference(`${host}/team/${name}:1.0@${digest}`),
    copy: parseReference(`${backup.host}/backup/team/${name}:1.0`),
  };
}

/** As a pass does: it looks what the tag means, copies, and another one may follow. */
async function copy({ job }: Pick<Ordered, 'job'>, by = registry) {
  await by.fetchDigest(job.source, 'source', signal);
  return by.copy(job, signal);
}

async function copyNew(name: string, more?: Parameters<typeof order>[1]) {
  const ordered = await order(name, more);
  return { ...ordered, amounts: await copy(ordered) };
}

function isMount({ method, path }: FaultyRequest): boolean {
  return method === 'POST' && path.includes('from=');
}

function listMounts(): readonly string[] {
  return backup.requests.filter(isMount).map(({ path, status }) => {
    const url = new URL(path, backup.url);
    const to = url.pathname.split('/').slice(2, -3).join('/');
    return `${url.searchParams.get('from')} → ${to}: ${status}`;
  });
}

/** How often the base was sent. */
function countDownloads(): number {
  const isDownload = ({ method, path }: FaultyRequest): boolean =>
    method === 'GET' && path.endsWith(`/blobs/${BASE_DIGEST}`);
  return source.requests.filter(isDownload).length;
}

async function expectWhole({ repository, digest }: Ordered): Promise<void> {
  expect(await findDigest(realBackup, { repository, tag: '1.0' })).toBe(digest);
  const layer = await fetch(`${realBackup.url}/v2/${repository}/blobs/${BASE_DIGEST}`, { method: 'HEAD' });
  expect(layer.status).toBe(200);
}

async function forgetLayer(repository: string): Promise<void> {
  const url = `${realBackup.url}/v2/${repository}/blobs/${BASE_DIGEST}`;
  expect((await fetch(url, { method: 'DELETE' })).status).toBe(202);
}

describe('a layer that the backup has in another repository', () => {
  it('is mounted, and what is the image’s own is sent', async () => {
    const first = await copyNew('first');
    expect(first.amounts).toMatchObject({ layersMounted: 0, bytesMounted: 0 });
    const second = await copyNew('second');
    expect(second.amounts).toMatchObject({ layersMounted: 1, bytesMounted: BASE_BYTES });
    expect(first.amounts.bytesSent).toBeGreaterThan(BASE_BYTES);
    expect(second.amounts.bytesSent).toBeLessThan(2 * MIB);
    expect(listMounts()).toEqual(['backup/team/first → backup/team/second: 201']);
    expect(countDownloads()).toBe(1);
    await expectWhole(second);
  });

  it.each<[string, Partial<CopyJob> & { format?: ImageSpec['format'] }]>([
    ['an index', { format: 'oci-index' }],
    ['a Docker list of which one platform is copied', { format: 'docker-list', platforms: ['linux/amd64'] }],
  ])('is mounted for %s', async (_, more) => {
    await copyNew('first');
    const second = await copyNew('second', more);
    expect(second.amounts.layersMounted).toBe(1);
    expect(countDownloads()).toBe(1);
    await expectWhole(second);
  });

  it('is mounted for an image with its referrers', async () => {
    copyReferrers = true;
    await copyNew('first');
    const second = await copyNew('second', { format: 'oci-index' });
    expect(second.amounts.layersMounted).toBe(1);
    await expectWhole(second);
  });

  it('is not asked for when a copy is repaired', async () => {
    await copyNew('first');
    const second = await copyNew('second', { isRepair: true });
    expect(second.amounts.layersMounted).toBe(0);
    expect(listMounts()).toEqual([]);
    await expectWhole(second);
  });

  it('is not asked for where the source counts downloads, which are made once', async () => {
    const headers = { 'ratelimit-limit': '200;w=21600', 'ratelimit-remaining': '199;w=21600' };
    source.misbehave({
      when: ({ path }) => path.includes('/manifests/'),
      does: { kind: 'headers', headers },
    });
    const images = [await copyNew('first'), await copyNew('second')];
    expect(listMounts()).toEqual([]);
    const read = source.requests.filter(
      ({ method, path }) => method === 'GET' && path.includes('/manifests/'),
    );
    expect(read).toHaveLength(images.length);
  });

  it('is mounted with a token for both repositories', { tags: 'attack-secret' }, async () => {
    const service = await startTokenService({ processes, address: '127.0.0.1' });
    const account = { user: 'backup', password: 'test-password' };
    service.setAccounts([{ ...account, actions: ['pull', 'push'] }]);
    const guarded = await startRegistry({
      tools,
      processes,
      name: `mounts-guarded-${count}`,
      tokens: service.auth,
    });
    const folder = await processes.createFolder(`mounts-config-${count}`);
    await writeFile(join(folder, 'config.json'), dockerConfigFor([{ ...guarded, credentials: account }]));
    const by = createRegistry([source.host, guarded.host], folder);
    const copies = await Promise.all(['first', 'second'].map((name) => order(name)));
    const amounts = [];
    for (const { job } of copies) {
      const there = parseReference(`${guarded.host}/${job.copy.repository}:1.0`);
      amounts.push(await copy({ job: { ...job, copy: there } }, by));
    }
    expect(amounts.map(({ layersMounted }) => layersMounted)).toEqual([0, 1]);
    expect(service.requests.map(({ scope }) => scope)).toContainEqual(
      expect.stringMatching(
        /^(?=.*repository:backup\/team\/second:(?:pull,push|push,pull))(?=.*repository:backup\/team\/first:pull(?:$| ))/,
      ),
    );
    await service.close();
    await guarded.stop();
  });
});

describe('a layer that could not be read', { tags: 'attack-secret' }, () => {
  it('is not mounted for an image whose repository at the source does not have it', async () => {
    await copyNew('first');
    const second = await order('second');
    source.misbehave({
      when: ({ path }) => path === `/v2/team/second/blobs/${BASE_DIGEST}`,
      does: { kind: 'answer', status: 404 },
    });
    await expect(copy(second)).rejects.toMatchObject({ side: 'source' });
    expect(listMounts()).toEqual([]);
    expect(await findDigest(realBackup, { repository: second.repository, tag: '1.0' })).toBeUndefined();
  });

  it('is not mounted from copies that came from another registry, whatever that says', async () => {
    await copyNew('first');
    const other = await startFaultyRegistry(realSource);
    const { digest } = await order('second');
    const by = aJob(other.host, 'second', digest);
    const asked = createRegistry([source.host, other.host, backup.host]);
    await copy(await order('third'), asked);
    const { layersMounted } = await copy({ job: by }, asked);
    expect(layersMounted).toBe(0);
    expect(listMounts()).toEqual([]);
    expect(
      other.requests.filter(({ method, path }) => method === 'HEAD' && path.includes('/blobs/')),
    ).toEqual([]);
    await other.close();
  });
});

describe('a mount that is refused', () => {
  it.each([401, 403, 404, 405, 500, 503])('with %i: the layer is sent', async (status) => {
    await copyNew('first');
    backup.misbehave({ when: isMount, does: { kind: 'answer', status } });
    const second = await copyNew('second');
    expect(second.amounts.layersMounted).toBe(0);
    expect(countDownloads()).toBe(2);
    await expectWhole(second);
  });

  it('by a connection that breaks: the layer is sent', async () => {
    await copyNew('first');
    backup.misbehave({ when: isMount, does: { kind: 'lose answer' } });
    await expectWhole(await copyNew('second'));
  });

  it('with an upload: that is ended, the layer is sent, and the backup is not asked again', async () => {
    await copyNew('first');
    backup.misbehave({
      when: isMount,
      does: { kind: 'rewrite', path: '/v2/backup/team/second/blobs/uploads/' },
    });
    const second = await copyNew('second');
    await expectWhole(second);
    const ended = backup.requests.filter(({ method }) => method === 'DELETE');
    expect(ended.map(({ status }) => status)).toEqual([204]);
    const before = source.requests.length;
    await expectWhole(await copyNew('third'));
    expect(listMounts()).toEqual(['backup/team/first → backup/team/second: 202']);
    const asked = source.requests.slice(before);
    expect(asked.filter(({ method, path }) => method === 'HEAD' && path.includes('/blobs/'))).toEqual([]);
  });

  it('with 429: the backup is left alone', async () => {
    await copyNew('first');
    backup.misbehave({
      when: isMount,
      does: { kind: 'answer', status: 429, headers: { 'retry-after': '300' } },
    });
    const second = await order('second');
    await expect(copy(second)).rejects.toMatchObject({ reason: 'RateLimited', side: 'backup' });
    const before = backup.requests.length;
    await expect(copy(second)).rejects.toMatchObject({ reason: 'RateLimited', side: 'backup' });
    expect(backup.requests).toHaveLength(before);
  });
});

describe('a layer that is gone', () => {
  it('from the repository that had it: it is sent, and mounted from there afterwards', async () => {
    await copyNew('zero');
    const first = await copyNew('first');
    await forgetLayer(first.repository);
    const second = await copyNew('second');
    expect(second.amounts.layersMounted).toBe(0);
    await expectWhole(second);
    const third = await copyNew('third');
    expect(third.amounts.layersMounted).toBe(1);
    expect(listMounts()).toEqual([
      'backup/team/zero → backup/team/first: 201',
      'backup/team/first → backup/team/second: 202',
      'backup/team/second → backup/team/third: 201',
    ]);
  });

  it('before the engine looks for it: it is sent', async () => {
    await copyNew('first');
    const second = await order('second');
    const letEngine = backup.misbehave({
      when: ({ method, path }) => method === 'HEAD' && path.includes(`/blobs/${BASE_DIGEST}`),
      does: { kind: 'hold' },
    });
    const copying = copy(second);
    await waitFor(() => backup.waiting() > 0, { what: 'the engine to look for the layer' });
    await forgetLayer(second.repository);
    letEngine();
    expect((await copying).bytesSent).toBeGreaterThan(BASE_BYTES);
    await expectWhole(second);
  });

  it('after the engine has found it: the copy fails, and the next try sends everything', async () => {
    await copyNew('first');
    const second = await order('second');
    const letManifest = backup.misbehave({
      when: ({ method, path }) => method === 'PUT' && path.includes('/manifests/'),
      does: { kind: 'hold' },
    });
    const copying = copy(second);
    copying.catch(() => undefined);
    await waitFor(() => backup.waiting() > 0, { what: 'the manifest to be written' });
    await forgetLayer(second.repository);
    letManifest();
    await expect(copying).rejects.toMatchObject({ side: 'backup' });
    expect(await findDigest(realBackup, { repository: second.repository, tag: '1.0' })).toBeUndefined();
    expect((await copy(second)).layersMounted).toBe(0);
    await expectWhole(second);
  });
});

describe('a large layer that another copy is sending', () => {
  const isUpload = ({ method, path }: FaultyRequest): boolean =>
    method === 'PUT' && path.includes(`digest=${encodeURIComponent(BASE_DIGEST)}`);

  function hasLookedAtSource(repository: string): boolean {
    return source.requests.some(
      ({ method, path }) => method === 'HEAD' && path === `/v2/${repository}/blobs/${BASE_DIGEST}`,
    );
  }

  it('is waited for, and mounted', async () => {
    const [first, second] = [await order('first'), await order('second')];
    const letUpload = backup.misbehave({ when: isUpload, does: { kind: 'hold' } });
    const sending = copy(first);
    await waitFor(() => backup.waiting() > 0, { what: 'the first copy to send the layer' });
    const waiting = copy(second);
    await waitFor(() => hasLookedAtSource('team/second'), { what: 'the second copy to begin' });
    letUpload();
    const amounts = await Promise.all([sending, waiting]);
    expect(amounts.map(({ layersMounted }) => layersMounted)).toEqual([0, 1]);
    expect(countDownloads()).toBe(1);
    await expectWhole(second);
  });

  it('is sent after all when that copy ends without it', async () => {
    const [first, second] = [await order('first'), await order('second')];
    const letUpload = backup.misbehave({ when: isUpload, does: { kind: 'hold' } });
    const given = new AbortController();
    const sending = registry.copy(first.job, given.signal);
    sending.catch(() => undefined);
    await waitFor(() => backup.waiting() > 0, { what: 'the first copy to send the layer' });
    const waiting = copy(second);
    await waitFor(() => hasLookedAtSource('team/second'), { what: 'the second copy to begin' });
    given.abort(new Error('not wanted'));
    await expect(sending).rejects.toThrow('not wanted');
    letUpload();
    expect((await waiting).layersMounted).toBe(0);
    await expectWhole(second);
  });

  it('is not waited for by a copy on which pods depend', async () => {
    const share = { namespaces: ['x'], isAlone: true, isUrgent: true };
    const [first, second] = [await order('first'), await order('second', { share })];
    const letUpload = backup.misbehave({ when: isUpload, does: { kind: 'hold' }, times: 1 });
    const sending = copy(first);
    await waitFor(() => backup.waiting() > 0, { what: 'the first copy to send the layer' });
    expect((await copy(second)).layersMounted).toBe(0);
    letUpload();
    await sending;
  });

  it('is no longer waited for by who is told to stop', async () => {
    const [first, second] = [await order('first'), await order('second')];
    const letUpload = backup.misbehave({ when: isUpload, does: { kind: 'hold' } });
    const sending = copy(first);
    await waitFor(() => backup.waiting() > 0, { what: 'the first copy to send the layer' });
    const stop = new AbortController();
    const waiting = registry.copy(second.job, stop.signal);
    waiting.catch(() => undefined);
    await waitFor(() => hasLookedAtSource('team/second'), { what: 'the second copy to begin' });
    stop.abort(new Error('lease lost'));
    await expect(waiting).rejects.toThrow('lease lost');
    letUpload();
    await sending;
  });
});
