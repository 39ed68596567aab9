/** Puts images into a registry through its HTTP API, without Docker. */
import { basicAuth } from './docker-config.ts';
import { buildImage, MEDIA_TYPES, type Blob, type Image, type ImageSpec } from './image-builder.ts';
import type { RegistryConnection } from './registry.ts';

export interface PushedImage {
  /** `127.0.0.1:12345/shop/api:1.0`: what a workload would say. */
  readonly reference: string;
  readonly host: string;
  readonly repository: string;
  readonly tag: string;
  /** Of the top manifest. */
  readonly digest: string;
  readonly sizeBytes: number;
}

export interface SampleImage {
  readonly repository: string;
  readonly tag: string;
  readonly spec: ImageSpec;
}

const MIB = 1024 * 1024;

/** One of each shape that registries hold. */
export const SAMPLE_IMAGES = {
  /** OCI index of two platforms with attestations, as `docker buildx build` pushes it. */
  multiPlatform: sample('shop/api', '1.0', {
    format: 'oci-index',
    attestation: true,
    content: 'shop api 1.0',
  }),
  multiPlatformNext: sample('shop/api', '1.1', {
    format: 'oci-index',
    attestation: true,
    content: 'shop api 1.1',
  }),
  /** Docker manifest list, schema 2. */
  dockerList: sample('library/proxy', '2.4', { format: 'docker-list', content: 'proxy 2.4' }),
  /** One OCI manifest, no index. */
  singleManifest: sample('tools/migrate', 'v3', { format: 'oci-manifest', content: 'migrate v3' }),
  /** About 50 MB over two platforms. */
  large: sample('data/warehouse', '2026.1', {
    format: 'oci-index',
    content: 'warehouse 2026.1',
    randomLayers: [16 * MIB, 9 * MIB],
  }),
} as const;

export type SampleName = keyof typeof SAMPLE_IMAGES;

function sample(repository: string, tag: string, spec: ImageSpec): SampleImage {
  return { repository, tag, spec };
}

/** All samples, pushed to one registry. */
export async function seedSampleImages(
  registry: RegistryConnection,
): Promise<Record<SampleName, PushedImage>> {
  const names = Object.keys(SAMPLE_IMAGES) as SampleName[];
  const pushed = names.map(async (name) => [name, await pushImage(registry, SAMPLE_IMAGES[name])] as const);
  return Object.fromEntries(await Promise.all(pushed)) as Record<SampleName, PushedImage>;
}

/** Builds an image and pushes it; one that the tag names already is replaced. */
export async function pushImage(registry: RegistryConnection, image: SampleImage): Promise<PushedImage> {
  const { repository, tag, spec } = image;
  const built = await buildImage(spec);
  await pushBuiltImage(registry, { repository, tag }, built);
  const { host } = registry;
  const { digest, sizeBytes } = built;
  return { reference: `${host}/${repository}:${tag}`, host, repository, tag, digest, sizeBytes };
}

async function pushBuiltImage(
  registry: RegistryConnection,
  { repository, tag }: { repository: string; tag: string },
  image: Image,
): Promise<void> {
  const base = `/v2/${repository}`;
  for (const blob of image.blobs) {
    await pushBlob(registry, base, blob);
  }
  for (const manifest of image.manifests) {
    const name = manifest.digest === image.digest ? tag : manifest.digest;
    await send(registry, {
      method: 'PUT',
      path: `${base}/manifests/${name}`,
      body: manifest.bytes,
      type: manifest.mediaType,
    });
  }
}

async function pushBlob(registry: RegistryConnection, base: string, blob: Blob): Promise<void> {
  const started = await send(registry, { method: 'POST', path: `${base}/blobs/uploads/` });
  const upload = new URL(started.headers.get('location') ?? '', registry.url);
  upload.searchParams.set('digest', blob.digest);
  const path = upload.pathname + upload.search;
  await send(registry, { method: 'PUT', path, body: blob.bytes, type: 'application/octet-stream' });
}

/** Makes a tag's image disappear; its blobs stay until a garbage collection. */
export async function deleteManifest(
  registry: RegistryConnection,
  { repository, digest }: { repository: string; digest: string },
): Promise<void> {
  await send(registry, { method: 'DELETE', path: `/v2/${repository}/manifests/${digest}` });
}

/** Digest of what a tag or digest names; undefined when there is nothing. */
export async function findDigest(
  registry: RegistryConnection,
  { repository, tag }: { repository: string; tag: string },
): Promise<string | undefined> {
  const path = `/v2/${repository}/manifests/${tag}`;
  const answer = await fetch(registry.url + path, { method: 'HEAD', headers: headersFor(registry) });
  return answer.ok ? (answer.headers.get('docker-content-digest') ?? undefined) : undefined;
}

interface RegistryCall {
  readonly method: string;
  readonly path: string;
  readonly body?: Buffer;
  readonly type?: string;
}

async function send(
  registry: RegistryConnection,
  { method, path, body, type }: RegistryCall,
): Promise<Response> {
  const answer = await fetch(registry.url + path, {
    method,
    headers: { ...headersFor(registry), ...(type && { 'content-type': type }) },
    ...(body && { body: new Uint8Array(body) }),
  });
  if (!answer.ok) {
    throw new Error(`${registry.host}: ${method} ${path}: ${answer.status} ${await answer.text()}`);
  }
  return answer;
}

const ACCEPT = [
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.ociManifest,
  MEDIA_TYPES.dockerList,
  MEDIA_TYPES.dockerManifest,
].join(', ');

function headersFor({ credentials }: RegistryConnection): Record<string, string> {
  const headers = { accept: ACCEPT, 'user-agent': 'test-seed' };
  return credentials ? { ...headers, authorization: `Basic ${basicAuth(credentials)}` } : headers;
}
