/**
 * Images that are made to hurt whoever reads them: complete and with the right digests, so that nothing but their size
 * speaks against them.
 */
import { createHash } from 'node:crypto';

import { MEDIA_TYPES } from './image-builder.ts';

/** What a registry has under one digest. */
export interface Content {
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** Made anew each time: all at once they would fill the memory of the test. */
  read(): Buffer;
}

export interface HostileImage {
  readonly digest: string;
  readonly contents: ReadonlyMap<string, Content>;
}

export interface ManifestSpec {
  /** Makes its digest different from that of others. */
  readonly name: string;
  readonly layers?: number;
  /** Filled up to this size with an annotation. */
  readonly sizeBytes?: number;
  /** As the index says it. */
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** All different, and alike in the rest. */
export function manyManifests(
  count: number,
  alike: Omit<ManifestSpec, 'name'> = {},
): readonly ManifestSpec[] {
  return Array.from({ length: count }, (_, index) => ({ name: `${index}`, ...alike }));
}

const CONFIG = Buffer.from('{"os":"linux","architecture":"amd64"}');

/** One manifest whose layers are a few bytes each. */
export function buildManifestImage(spec: ManifestSpec): HostileImage {
  const contents = new Map<string, Content>();
  return { digest: addManifest(contents, spec), contents };
}

/** An index, in the order of its manifests; `said`: the size that it gives for each of them instead of the true one. */
export function buildIndexImage(
  manifests: readonly ManifestSpec[],
  { said }: { readonly said?: number } = {},
): HostileImage {
  const contents = new Map<string, Content>();
  const entries = manifests.map((spec) => {
    const digest = addManifest(contents, spec);
    const size = said ?? contents.get(digest)?.sizeBytes;
    const { platform } = spec;
    return { mediaType: MEDIA_TYPES.ociManifest, digest, size, ...(platform && { platform }) };
  });
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: entries };
  return { digest: add(contents, MEDIA_TYPES.ociIndex, toBytes(index)), contents };
}

function addManifest(contents: Map<string, Content>, spec: ManifestSpec): string {
  const { name, layers = 1 } = spec;
  add(contents, MEDIA_TYPES.ociConfig, CONFIG);
  for (let index = 0; index < layers; index += 1) {
    add(contents, MEDIA_TYPES.ociLayer, layerOf(name, index));
  }
  return add(contents, MEDIA_TYPES.ociManifest, buildManifest(spec), () => buildManifest(spec));
}

function buildManifest({ name, layers = 1, sizeBytes = 0 }: ManifestSpec): Buffer {
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config: describe(MEDIA_TYPES.ociConfig, CONFIG),
    layers: Array.from({ length: layers }, (_, index) =>
      describe(MEDIA_TYPES.ociLayer, layerOf(name, index)),
    ),
    annotations: { name, filler: '' },
  };
  const filler = 'x'.repeat(Math.max(0, sizeBytes - toBytes(manifest).length));
  return toBytes({ ...manifest, annotations: { name, filler } });
}

function layerOf(name: string, index: number): Buffer {
  return Buffer.from(`layer ${index} of ${name}`);
}

function describe(mediaType: string, bytes: Buffer): object {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function add(
  contents: Map<string, Content>,
  mediaType: string,
  bytes: Buffer,
  read: () => Buffer = () => bytes,
): string {
  const digest = digestOf(bytes);
  contents.set(digest, { mediaType, sizeBytes: bytes.length, read });
  return digest;
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function toBytes(content: object): Buffer {
  return Buffer.from(JSON.stringify(content));
}
