/**
 * How much an image may consist of. Whoever writes it chooses what the engine has to hold at once, and the engine asks
 * nobody: 15 to 25 kB for each layer, and more than twice the bytes of all manifests.
 */

/** Real images have about 40, attestations and all; somebody might make one with a million to keep us busy. */
const MOST_MANIFESTS = 500;
/** Of one manifest. Container runtimes stop at 127; artifacts have some hundreds. */
export const MOST_LAYERS = 1_000;
/**
 * Of all manifests: those for 27 platforms with as many layers as runtimes take. With many more, the engine would need more
 * memory than it may have.
 */
export const MOST_LAYERS_TOGETHER = 3_500;
/** Of all manifests: an index with 20 platforms and their attestations has 50 kB. */
const MOST_MANIFEST_BYTES = 16 * 1024 * 1024;

export interface ImageFigures {
  readonly manifests?: number;
  /** Of the manifest that has the most. */
  readonly layers?: number;
  readonly layersTogether?: number;
  readonly manifestBytes?: number;
}

/** Why an image is too large to be copied; undefined when it is not. */
export function findExcess(figures: ImageFigures): string | undefined {
  const { manifests = 0, layers = 0, layersTogether = 0, manifestBytes = 0 } = figures;
  if (manifests > MOST_MANIFESTS) {
    return `has more than ${MOST_MANIFESTS} manifests (${manifests})`;
  }
  if (layers > MOST_LAYERS) {
    return `has more than ${MOST_LAYERS} layers in one manifest (${layers})`;
  }
  if (layersTogether > MOST_LAYERS_TOGETHER) {
    return `has more than ${MOST_LAYERS_TOGETHER} layers in all its manifests (${layersTogether})`;
  }
  if (manifestBytes > MOST_MANIFEST_BYTES) {
    return `has more than ${toMib(MOST_MANIFEST_BYTES)} MiB of manifests (${toMib(manifestBytes)} MiB)`;
  }
  return undefined;
}

function toMib(bytes: number): number {
  return Math.ceil(bytes / 1024 / 1024);
}
