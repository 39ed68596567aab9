/** Builds images in memory: small, but complete and correct, with the same digests on every machine. */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

export const MEDIA_TYPES = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  inToto: 'application/vnd.in-toto+json',
} as const;

export interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Buffer;
}

/** What a registry stores under one name: the top manifest last, everything it refers to before it. */
export interface Image {
  readonly digest: string;
  readonly manifests: readonly Blob[];
  readonly blobs: readonly Blob[];
  /** All blobs, all platforms together. */
  readonly sizeBytes: number;
}

export type ImageFormat = 'oci-index' | 'oci-manifest' | 'docker-list';

export interface ImageSpec {
  readonly format: ImageFormat;
  /** Makes the contents, and so the digest, different from other images with the same shape. */
  readonly content: string;
  /** `os/architecture`; a single manifest takes the first. Default: linux/amd64 and linux/arm64. */
  readonly platforms?: readonly string[];
  /** Layers of incompressible bytes besides the small one, for each platform; sizes in bytes. */
  readonly randomLayers?: readonly number[];
  /** Files of each layer, instead of made-up ones; the same for every platform. */
  readonly layers?: readonly (readonly ImageFile[])[];
  /** How its containers are started, as in an image configuration; default: the file of the small layer. */
  readonly config?: ContainerConfig;
  /** A provenance attestation for each platform, as BuildKit adds it to an index. */
  readonly attestation?: boolean;
  /** The first platform is in the index of the image, and the others in another one that this names. */
  readonly nested?: boolean;
}

export interface ImageFile {
  /** Without leading slash. Its folders are made by whoever unpacks it. */
  readonly path: string;
  readonly bytes: Buffer;
  /** Default: 0755. */
  readonly mode?: number;
}

export interface ContainerConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
}

const DEFAULT_PLATFORMS = ['linux/amd64', 'linux/arm64'];
/** 2026-01-01T00:00:00Z: fixed, for fixed digests. */
const CREATED = '2026-01-01T00:00:00Z';

export async function buildImage(spec: ImageSpec): Promise<Image> {
  const { format, platforms = DEFAULT_PLATFORMS, attestation = false } = spec;
  const wanted = format === 'oci-manifest' ? platforms.slice(0, 1) : platforms;
  const parts = await Promise.all(wanted.map((platform) => buildPlatform(spec, platform)));
  const attestations = attestation ? parts.map(buildAttestation) : [];
  const all = [...parts, ...attestations];
  const manifests = all.map(({ manifest }) => manifest);
  if (format !== 'oci-manifest') {
    manifests.push(...buildIndexes(spec, all));
  }
  const blobs = all.flatMap((part) => part.blobs);
  return {
    digest: manifests.at(-1)?.digest ?? '',
    manifests,
    blobs,
    sizeBytes: blobs.reduce((sum, { bytes }) => sum + bytes.length, 0),
  };
}

interface Part {
  readonly manifest: Blob;
  readonly blobs: readonly Blob[];
  readonly platform: { readonly os: string; readonly architecture: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

async function buildPlatform(spec: ImageSpec, platform: string): Promise<Part> {
  const { format, content, layers: files = madeUpLayers(spec, platform) } = spec;
  const isDocker = format === 'docker-list';
  const [os = '', architecture = ''] = platform.split('/');
  const tars = await Promise.all(files.map(tarOf));
  const layers = tars.map((tar) =>
    blobOf(isDocker ? MEDIA_TYPES.dockerLayer : MEDIA_TYPES.ociLayer, gzip(tar)),
  );
  const config = jsonBlob(isDocker ? MEDIA_TYPES.dockerConfig : MEDIA_TYPES.ociConfig, {
    created: CREATED,
    architecture,
    os,
    config: { Entrypoint: ['/app/0'], ...spec.config, Labels: { content } },
    rootfs: { type: 'layers', diff_ids: tars.map(digestOf) },
    history: tars.map(() => ({ created: CREATED, created_by: 'test' })),
  });
  const manifest = buildManifest(
    isDocker ? MEDIA_TYPES.dockerManifest : MEDIA_TYPES.ociManifest,
    config,
    layers,
  );
  return { manifest, blobs: [config, ...layers], platform: { os, architecture } };
}

function madeUpLayers({ content, randomLayers = [] }: ImageSpec, platform: string): readonly ImageFile[][] {
  const contents = [
    Buffer.from(`${content} for ${platform}\n`),
    ...randomLayers.map((sizeBytes, index) =>
      pseudoRandomBytes(`${content}/${platform}/${index}`, sizeBytes),
    ),
  ];
  return contents.map((bytes, index) => [{ path: `app/${index}`, bytes }]);
}

function buildAttestation({ manifest, platform }: Part): Part {
  const statement = jsonBlob(MEDIA_TYPES.inToto, {
    _type: 'https://in-toto.io/Statement/v0.1',
    predicateType: 'https://slsa.dev/provenance/v0.2',
    subject: [
      { name: `_/${platform.architecture}`, digest: { sha256: manifest.digest.slice('sha256:'.length) } },
    ],
    predicate: { buildType: 'https://mobyproject.org/buildkit@v1' },
  });
  const config = jsonBlob(MEDIA_TYPES.ociConfig, {
    architecture: 'unknown',
    os: 'unknown',
    config: {},
    rootfs: { type: 'layers', diff_ids: [statement.digest] },
  });
  return {
    manifest: buildManifest(MEDIA_TYPES.ociManifest, config, [statement]),
    blobs: [config, statement],
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: {
      'vnd.docker.reference.digest': manifest.digest,
      'vnd.docker.reference.type': 'attestation-manifest',
    },
  };
}

function buildManifest(mediaType: string, config: Blob, layers: readonly Blob[]): Blob {
  return jsonBlob(mediaType, {
    schemaVersion: 2,
    mediaType,
    config: descriptorOf(config),
    layers: layers.map(descriptorOf),
  });
}

/** That of the image last. */
function buildIndexes({ format, nested = false }: ImageSpec, parts: readonly Part[]): readonly Blob[] {
  if (!nested) {
    return [buildIndex(format, parts)];
  }
  const inner = buildIndex(format, parts.slice(1));
  return [inner, buildIndex(format, [...parts.slice(0, 1), { manifest: inner }])];
}

type Indexed = Pick<Part, 'manifest'> & Partial<Part>;

function buildIndex(format: ImageFormat, parts: readonly Indexed[]): Blob {
  const mediaType = format === 'docker-list' ? MEDIA_TYPES.dockerList : MEDIA_TYPES.ociIndex;
  const manifests = parts.map(({ manifest, platform, annotations }) => ({
    ...descriptorOf(manifest),
    ...(annotations && { annotations }),
    ...(platform && { platform }),
  }));
  return jsonBlob(mediaType, { schemaVersion: 2, mediaType, manifests });
}

function descriptorOf({ mediaType, digest, bytes }: Blob): object {
  return { mediaType, digest, size: bytes.length };
}

function jsonBlob(mediaType: string, content: object): Blob {
  return blobOf(mediaType, Buffer.from(JSON.stringify(content)));
}

function blobOf(mediaType: string, bytes: Buffer): Blob {
  return { mediaType, digest: digestOf(bytes), bytes };
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

async function tarOf(files: readonly ImageFile[]): Promise<Buffer<ArrayBuffer>> {
  const archive = pack();
  for (const { path: name, bytes, mode = 0o755 } of files) {
    archive.entry({ name, mode, mtime: new Date(CREATED) }, bytes);
  }
  archive.finalize();
  return Buffer.from(await buffer(archive));
}

/** Not compressed, and no word about the operating system: zlib's output differs between machines otherwise. */
function gzip(bytes: Buffer): Buffer {
  const OS_FIELD = 9;
  const UNKNOWN_OS = 255;
  const zipped = gzipSync(bytes, { level: 0 });
  zipped[OS_FIELD] = UNKNOWN_OS;
  return zipped;
}

/** Incompressible, and the same everywhere: one hash stretched to any length. */
function pseudoRandomBytes(seed: string, sizeBytes: number): Buffer {
  return createHash('shake256', { outputLength: sizeBytes }).update(seed).digest();
}
