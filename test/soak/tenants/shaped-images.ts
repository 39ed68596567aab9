/** Images that are within the letter of the specification, and made to be dear to whoever reads them. */
import { createHash } from 'node:crypto';

import { MEDIA_TYPES } from '../../support/image-builder.ts';

const MIB = 1024 * 1024;
const MANIFEST_BYTES = 4 * MIB;

interface Content {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  /** Made when it is asked for: all together would be hundreds of megabytes. */
  read(): Buffer;
}

/** By digest, and what the tag means. */
export interface ShapedImage {
  readonly top: Content;
  readonly contents: ReadonlyMap<string, Content>;
}

function contentOf(mediaType: string, make: () => string | Buffer): Content {
  const read = (): Buffer => Buffer.from(make());
  const bytes = read();
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  return { mediaType, digest, size: bytes.length, read };
}

function describeContent({ mediaType, digest, size }: Content): object {
  return { mediaType, digest, size };
}

const CONFIG = contentOf(MEDIA_TYPES.ociConfig, () => '{"architecture":"amd64","os":"linux","rootfs":{}}');

function makeManifest(layers: readonly Content[], more: object = {}): Content {
  return contentOf(MEDIA_TYPES.ociManifest, () =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: describeContent(CONFIG),
      layers: layers.map(describeContent),
      ...more,
    }),
  );
}

function makeIndex(manifests: readonly Content[]): Content {
  return contentOf(MEDIA_TYPES.ociIndex, () =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: manifests.map(describeContent),
    }),
  );
}

function imageOf(top: Content, others: readonly Content[]): ShapedImage {
  return { top, contents: new Map([top, CONFIG, ...others].map((content) => [content.digest, content])) };
}

function makeLayers(count: number): readonly Content[] {
  return Array.from({ length: count }, (_, index) => contentOf(MEDIA_TYPES.ociLayer, () => `layer ${index}`));
}

function makeManifests(count: number, paddingBytes: number): readonly Content[] {
  return Array.from({ length: count }, (_, index) =>
    makeManifest([], { annotations: { number: String(index), padding: ' '.repeat(paddingBytes) } }),
  );
}

/** One manifest that calls itself no index, with as many entries of one as fit. */
function makeEntries(): ShapedImage {
  const head = `{"schemaVersion":2,"mediaType":"${MEDIA_TYPES.dockerManifest}","config":${JSON.stringify(describeContent(CONFIG))},"layers":[],"manifests":[`;
  const count = Math.floor((MANIFEST_BYTES - head.length - 10) / 3);
  return imageOf(
    contentOf(MEDIA_TYPES.dockerManifest, () => `${head}${'{},'.repeat(count)}{}]}`),
    [],
  );
}

function makeDeep(levels: number): ShapedImage {
  const all = [makeManifest([])];
  for (let level = 0; level < levels; level += 1) {
    all.push(makeIndex(all.slice(-1)));
  }
  return imageOf(all.at(-1) ?? CONFIG, all);
}

function makeFull(children: readonly Content[]): ShapedImage {
  return imageOf(makeIndex(children), children);
}

function makeLayered(count: number): ShapedImage {
  const layers = makeLayers(count);
  return imageOf(makeManifest(layers), layers);
}

const SHAPES = {
  'a million entries': makeEntries,
  'sixty manifests of 4 MB': () => makeFull(makeManifests(60, MANIFEST_BYTES - 1_024)),
  'twenty thousand layers': () => makeLayered(20_000),
  'eight thousand children': () => makeFull(makeManifests(8_000, 0)),
  'indexes in indexes': () => makeDeep(100),
} as const satisfies Record<string, () => ShapedImage>;

export type Shape = keyof typeof SHAPES;
export const SHAPE_NAMES = Object.keys(SHAPES) as Shape[];

/** Made once each. */
export class ShapedImages {
  readonly #made = new Map<Shape, ShapedImage>();

  get(shape: Shape): ShapedImage {
    const image = this.#made.get(shape) ?? SHAPES[shape]();
    this.#made.set(shape, image);
    return image;
  }
}
