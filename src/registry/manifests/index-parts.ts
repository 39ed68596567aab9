import { z } from 'zod';

import { isWantedPlatform, type Platforms } from '../../images/platforms.ts';
import { isDigest } from '../../images/reference.ts';
import type { Manifest } from './manifest-request.ts';

/** What an index names besides manifests (layers, in some caches) is no image that a node could run. */
const MANIFEST_TYPES: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]);
/** No image has as many; somebody might make one to keep us busy. */
const MOST_PARTS = 200;

const INDEX = z.object({
  manifests: z.array(
    z.object({
      mediaType: z.string().nullish(),
      digest: z.string(),
      platform: z
        .object({
          os: z.string().optional(),
          architecture: z.string().optional(),
          variant: z.string().optional(),
        })
        .nullish(),
    }),
  ),
});

export interface IndexParts {
  /** Digests of the manifests for the wanted platforms. */
  readonly wanted: readonly string[];
  /** The index has manifests, and none of them is wanted. */
  readonly isUnwanted: boolean;
}

/** The images that an index consists of; none for a manifest that is no index. */
export function listIndexParts({ body }: Manifest, platforms: Platforms): IndexParts {
  const parsed = INDEX.safeParse(parseJson(body));
  if (!parsed.success) {
    return { wanted: [], isUnwanted: false };
  }
  const parts = parsed.data.manifests.filter(
    ({ mediaType, digest }) => MANIFEST_TYPES.has(mediaType ?? '') && isDigest(digest),
  );
  const wanted = parts.filter(({ platform }) => isWantedPlatform(platform ?? undefined, platforms));
  return {
    wanted: wanted.slice(0, MOST_PARTS).map(({ digest }) => digest),
    isUnwanted: parts.length > 0 && wanted.length === 0,
  };
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
