import { z } from 'zod';

import { RegistryError } from '../../errors.ts';
import type { Platform } from '../../images/platforms.ts';
import { formatReference, isDigest, type Reference } from '../../images/reference.ts';
import { findExcess } from './image-limits.ts';
import { countListed, hasMoreValues } from './listed-elements.ts';
import { type Layer, listLargeLayers, namesForeignLayer } from './listed-layers.ts';
import type { Manifest } from './registry-request.ts';
import { MANIFEST_KINDS, type ManifestKind } from './media-types.ts';

export type ManifestContent = SingleManifest | ManifestIndex;

interface SingleManifest {
  readonly is: 'manifest';
  readonly sizeBytes: number;
  readonly layers: number;
  /** Those that are worth a request, the configuration among them if it is. */
  readonly large: readonly Layer[];
  /** Some of them are kept elsewhere, as those of Windows are. */
  readonly hasForeign?: boolean;
  readonly isDocker?: boolean;
}

interface ManifestIndex {
  readonly is: 'index';
  readonly sizeBytes: number;
  readonly isDocker?: boolean;
  readonly entries: readonly IndexEntry[];
}

/** One of the manifests that an index names. */
export interface IndexEntry {
  readonly digest: string;
  /** What the index says of it; `unsaid`: only who reads it knows. */
  readonly is: ManifestKind | 'unsaid';
  /** What the index says; nobody has compared. */
  readonly sizeBytes?: number;
  readonly platform?: Platform;
}

/** An index of 500 manifests that says a lot of each has half of it. */
const MOST_VALUES = 100_000;

const DOCUMENT = z.object({
  mediaType: z.string().optional().catch(undefined),
  manifests: z.unknown().optional(),
});
const ENTRIES = z.array(
  z.object({
    mediaType: z.string().nullish(),
    digest: z.string().refine(isDigest),
    size: z.int().nonnegative().optional().catch(undefined),
    platform: z
      .object({
        os: z.string().nullish(),
        architecture: z.string().nullish(),
        variant: z.string().nullish(),
      })
      .nullish(),
  }),
);

/**
 * Reads what an image consists of. What an index names besides manifests (layers, in some caches) is left out: that is
 * no image that a node could run.
 *
 * @throws {RegistryError} `Unsupported` for an index that cannot be read, or names too many manifests.
 */
export function parseManifestContent(manifest: Manifest, reference: Reference): ManifestContent {
  const { body } = manifest;
  const sizeBytes = body.length;
  const said = MANIFEST_KINDS.get(manifest.mediaType);
  if (said === 'manifest') {
    return parseSingle(body);
  }
  const { mediaType, manifests } = parseDocument(body, reference);
  const kind =
    said ?? MANIFEST_KINDS.get(mediaType ?? '') ?? (Array.isArray(manifests) ? 'index' : 'manifest');
  return kind === 'manifest'
    ? parseSingle(body)
    : {
        is: 'index',
        sizeBytes,
        ...(hasDockerTypes(body) && { isDocker: true }),
        entries: parseEntries(manifests, { body, reference }),
      };
}

/** Only for words: what is remembered of a manifest holds for all registries, and headers may differ. */
function hasDockerTypes(body: Buffer): boolean {
  return body.includes('"application/vnd.docker.distribution.manifest.');
}

function parseSingle(body: Buffer): SingleManifest {
  const layers = countListed(body);
  const isKnown = findExcess({ layers }) === undefined;
  return {
    is: 'manifest',
    sizeBytes: body.length,
    layers,
    large: isKnown ? listLargeLayers(body) : [],
    ...(isKnown && namesForeignLayer(body) && { hasForeign: true }),
    ...(hasDockerTypes(body) && { isDocker: true }),
  };
}

/**
 * False for what one registry calls a manifest while it reads like an index: others may call it that. Whoever has a
 * registry must not decide what the images of others are.
 */
export function isSameEverywhere({ body }: Manifest, { is }: ManifestContent): boolean {
  return is === 'index' || !body.includes('"manifests"');
}

/** An image that is none we know how to handle, whichever registry has it. */
export function createContentError(reference: Reference, problem: string): RegistryError {
  return new RegistryError(`${formatReference(reference)} ${problem}`, {
    reason: 'Unsupported',
    side: 'source',
  });
}

function parseDocument(body: Buffer, reference: Reference): z.infer<typeof DOCUMENT> {
  if (hasMoreValues(body, MOST_VALUES)) {
    const problem = findExcess({ manifests: countListed(body) });
    throw createContentError(reference, problem ?? 'says too much of the manifests that it names');
  }
  try {
    return DOCUMENT.parse(JSON.parse(body.toString('utf8')));
  } catch {
    throw createContentError(reference, 'cannot be read: it is no JSON object');
  }
}

function parseEntries(
  manifests: unknown,
  { body, reference }: { readonly body: Buffer; readonly reference: Reference },
): readonly IndexEntry[] {
  if (!Array.isArray(manifests)) {
    throw createContentError(reference, 'cannot be read: it has no array "manifests"');
  }
  // Before anything is made of each of them.
  const excess = findExcess({ manifests: countListed(body) });
  if (excess !== undefined) {
    throw createContentError(reference, excess);
  }
  const parsed = ENTRIES.safeParse(manifests);
  if (!parsed.success) {
    const path = parsed.error.issues[0]?.path ?? [];
    const place = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
    throw createContentError(reference, `cannot be read: manifests${place} is not what it has to be`);
  }
  return parsed.data.flatMap(({ mediaType, digest, size, platform }) => {
    const is = mediaType ? MANIFEST_KINDS.get(mediaType) : 'unsaid';
    const more = {
      ...(size !== undefined && { sizeBytes: size }),
      ...(platform && { platform: dropNulls(platform) }),
    };
    return is ? [{ digest, is, ...more }] : [];
  });
}

type WithNulls<Value> = { readonly [Key in keyof Value]: Value[Key] | null };

function dropNulls({ os, architecture, variant }: WithNulls<Platform>): Platform {
  return { os: os ?? undefined, architecture: architecture ?? undefined, variant: variant ?? undefined };
}
