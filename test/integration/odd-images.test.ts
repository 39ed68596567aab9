/** Images that real registries have, and that others do not take. */
import { createHash } from 'node:crypto';

import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { type Copying, startCopying } from '../support/copying.ts';
import { requestsTo } from '../support/faults.ts';
import { type FaultyRegistry, startFaultyRegistry } from '../support/faulty-registry.ts';
import { buildImage, type Image, type ImageSpec, MEDIA_TYPES } from '../support/image-builder.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { findDigest, pushImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';

const { tools, processes } = connectToCluster();
const FOREIGN_LAYER = {
  mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  size: 1_000_000,
  digest: `sha256:${'a'.repeat(64)}`,
  urls: ['https://mcr.example.com/v2/windows/nanoserver/blobs/1'],
};

let count = 0;
let realSource: Registry;
let realBackup: Registry;
let source: FaultyRegistry;
/** At the source. */
let image: string;

async function start(options: { readonly takesPartialImages?: boolean } = {}): Promise<void> {
  count += 1;
  realSource = await startRegistry({ tools, processes, name: `odd-images-source-${count}` });
  realBackup = await startRegistry({ tools, processes, name: `odd-images-backup-${count}`, ...options });
  source = await startFaultyRegistry(realSource);
  image = `${source.host}/team/app:1.0`;
  onTestFinished(async () => {
    await source.close();
    await Promise.all([realSource.stop(), realBackup.stop()]);
  });
}

function copyWith(settings: Readonly<Record<string, string>> = {}): Copying {
  return startCopying({
    program: tools.regctl,
    settings: {
      REGISTRY_PREFIX: `${realBackup.host}/p`,
      INSECURE_REGISTRIES: `${source.host},${realBackup.host}`,
      ...settings,
    },
  });
}

async function push(spec: Omit<ImageSpec, 'content'>): Promise<Image> {
  const whole = { ...spec, content: 'odd' };
  await pushImage(realSource, { repository: 'team/app', tag: '1.0', spec: whole });
  return buildImage(whole);
}

function findCopy(tag: string): Promise<string | undefined> {
  return findDigest(realBackup, { repository: `p/${source.host.replace(':', '_')}/team/app`, tag });
}

/** Has the source say that it has a manifest, under a digest and under the tag if it is told so. */
function serve(bytes: Buffer, { digest, isTop }: { readonly digest: string; readonly isTop: boolean }): void {
  const mediaType = (JSON.parse(bytes.toString()) as { readonly mediaType: string }).mediaType;
  const headers = {
    'content-type': mediaType,
    'docker-content-digest': digest,
    'content-length': String(bytes.length),
  };
  source.misbehave({
    when: ({ path }) => path.endsWith(`/manifests/${digest}`) || (isTop && path.endsWith('/manifests/1.0')),
    does: { kind: 'answer', status: 200, headers, body: bytes },
  });
}

function digestOf(bytes: Buffer, algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

describe('an index of which its source does not have all platforms', () => {
  const ARM64 = '(linux/arm64)';

  /** A mirror that was made for amd64. */
  async function loseArm64(): Promise<string> {
    const { digest, manifests } = await push({ format: 'oci-index' });
    const lost = manifests.at(1)?.digest ?? '';
    const when = requestsTo({ path: new RegExp(`/manifests/${lost}`), by: 'anybody' });
    source.misbehave({ when, does: { kind: 'answer', status: 404 } });
    return digest;
  }

  it('is copied as far as it is there, with the digest of the whole, and found again', async () => {
    await start({ takesPartialImages: true });
    const digest = await loseArm64();
    const copying = copyWith();
    const absent = { platforms: ['linux/amd64'], missing: expect.stringContaining(ARM64) };
    expect(await copying.pass(image)).toMatchObject({ phase: 'verified', digest, absent });
    expect(await findCopy(`1.0--${digest.slice(7, 19)}-partial`)).toBe(digest);
    expect(await findCopy(`1.0--${digest.slice(7, 19)}`)).toBeUndefined();
    copying.forget();
    source.misbehave({ when: () => true, does: { kind: 'answer', status: 404 } });
    expect(await copying.pass(image, { digest })).toMatchObject({ phase: 'verified', absent });
  });

  it('is told of, with what is missing, where the backup takes whole images only', async () => {
    await start();
    await loseArm64();
    expect(await copyWith().pass(image)).toMatchObject({
      phase: 'failed',
      reason: 'Incomplete',
      isFinal: true,
      message: expect.stringMatching(
        /not all that it names: sha256:\S+ \(linux\/arm64\)\. .* or allow images/,
      ),
    });
  });
});

describe('layers that are kept elsewhere', () => {
  /** The index of an image for Linux and Windows. */
  async function serveForeign(): Promise<string> {
    const { manifests } = await push({ format: 'oci-index', platforms: ['linux/amd64', 'windows/amd64'] });
    const [linux, windows] = manifests;
    const manifest = JSON.parse(windows?.bytes.toString() ?? '') as { readonly layers: readonly object[] };
    const foreign = Buffer.from(JSON.stringify({ ...manifest, layers: [FOREIGN_LAYER, ...manifest.layers] }));
    const entryOf = (bytes: Buffer, os: string): object => ({
      mediaType: MEDIA_TYPES.ociManifest,
      digest: digestOf(bytes),
      size: bytes.length,
      platform: { os, architecture: 'amd64' },
    });
    const index = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.ociIndex,
        manifests: [entryOf(linux?.bytes ?? Buffer.alloc(0), 'linux'), entryOf(foreign, 'windows')],
      }),
    );
    serve(foreign, { digest: digestOf(foreign), isTop: false });
    serve(index, { digest: digestOf(index), isTop: true });
    return digestOf(index);
  }

  beforeEach(() => start());

  it.each([
    ['the whole image', {}],
    ['the part for Linux', { PLATFORMS: 'linux/amd64' }],
  ])('are named when the backup refuses %s because of them, with both ways out', async (_, settings) => {
    await serveForeign();
    const state = await copyWith(settings).pass(image);
    expect(state).toMatchObject({
      phase: 'failed',
      reason: 'Unsupported',
      side: 'backup',
      message: expect.stringMatching(
        /foreign layers.*validation\.manifests\.urls\.allow.*or set PLATFORMS to/,
      ),
    });
    expect(JSON.stringify(state)).not.toContain('PLATFORMS=all');
  });
});

it('an image that is pinned by sha512 is not tried again where the backup knows only sha256', async () => {
  await start();
  const { manifests } = await push({ format: 'oci-manifest' });
  const bytes = manifests[0]?.bytes ?? Buffer.alloc(0);
  const digest = digestOf(bytes, 'sha512');
  serve(bytes, { digest, isTop: false });
  expect(await copyWith().pass(`${source.host}/team/app@${digest}`)).toMatchObject({
    phase: 'failed',
    reason: 'Unsupported',
    isFinal: true,
    message: expect.stringContaining('pin the image to its sha256 digest'),
  });
});
