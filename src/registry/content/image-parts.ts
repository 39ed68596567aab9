import type { Clock } from '../../clock.ts';
import { RegistryError } from '../../errors.ts';
import { isWantedPlatform, type Platforms } from '../../images/platforms.ts';
import { formatReference } from '../../images/reference.ts';
import type { ImageParts } from '../../reconcile/ports.ts';
import type { ReadContent } from './content-reader.ts';
import {
  createContentError,
  type IndexEntry,
  type ManifestContent,
  MOST_MANIFESTS,
} from '../manifests/manifest-content.ts';
import { createNotFoundError, type ManifestClient, type PinnedAccess } from '../manifests/manifests.ts';

/** Knows what images consist of, and what of it a registry does not have. */
export interface PartFinder {
  /** Undefined when the registry does not have the image. What an index consists of is left out if that is missing. */
  listParts(image: PinnedAccess): Promise<ImageParts | undefined>;
  /** @throws {RegistryError} `Unsupported` when the image is for none of the platforms. */
  findMissingPart(image: PinnedAccess, platforms: Platforms): Promise<string | undefined>;
}

/** Indexes in one another; real images have two at most. */
const MOST_LEVELS = 8;

/** All that an index names, at any depth. */
interface PartList {
  /** Manifests and indexes for the wanted platforms. */
  readonly wanted: ReadonlySet<string>;
  /** What had to be read to know what is below it, and is not there. */
  readonly missing: string | undefined;
  /** There are manifests, and none of them is wanted. */
  readonly isUnwanted: boolean;
}

interface PartDeps {
  readonly read: ReadContent;
  readonly manifests: ManifestClient;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

export function createPartFinder(deps: PartDeps): PartFinder {
  const { read, manifests } = deps;
  return {
    async listParts(image) {
      const top = await read(image);
      if (top?.is !== 'index') {
        return top;
      }
      const { wanted } = await walk(deps, { image, top, platforms: 'all' });
      return { is: 'index', digests: wanted };
    },

    async findMissingPart(image, platforms) {
      const top = await read(image);
      if (!top) {
        throw createNotFoundError(image);
      }
      if (top.is === 'manifest') {
        return undefined;
      }
      const { wanted, missing, isUnwanted } = await walk(deps, { image, top, platforms });
      if (missing !== undefined) {
        return missing;
      }
      if (isUnwanted) {
        const problem = `has nothing for ${[platforms].flat().join(', ')} (PLATFORMS)`;
        throw createContentError(image.reference, problem);
      }
      for (const digest of wanted) {
        if ((await manifests.fetchDigest(toPart(image, digest))) === undefined) {
          return digest;
        }
      }
      return undefined;
    },
  };
}

interface Walk {
  readonly image: PinnedAccess;
  readonly top: ManifestContent & { readonly is: 'index' };
  readonly platforms: Platforms;
}

/** A registry that takes its time for each of many must not keep others waiting for as long. */
const LONGEST_WALK_MS = 60_000;

/** Level by level, and one after another: nobody is in a hurry. */
async function walk({ read, clock }: PartDeps, { image, top, platforms }: Walk): Promise<PartList> {
  const named = new Set<string>();
  const wanted: IndexEntry[] = [];
  const opened = new Map<string, ManifestContent | undefined>();
  let hasOthers = false;
  let level = top.entries;
  const endMs = clock.monotonicMs() + LONGEST_WALK_MS;
  for (let depth = 1; level.length > 0; depth += 1) {
    for (const { digest } of level) {
      named.add(digest);
    }
    checkSize(image, { depth, manifests: named.size });
    const kept = level.filter(({ platform }) => isWantedPlatform(platform, platforms));
    hasOthers ||= kept.length < level.length;
    const below: IndexEntry[] = [];
    for (const entry of kept) {
      wanted.push(entry);
      if (entry.is !== 'manifest' && !opened.has(entry.digest)) {
        checkTime(image, clock.monotonicMs() < endMs);
        const content = await read(toPart(image, entry.digest));
        opened.set(entry.digest, content);
        below.push(...listEntries(content));
      }
    }
    level = below;
  }
  const isManifest = ({ is, digest }: IndexEntry): boolean => (opened.get(digest)?.is ?? is) === 'manifest';
  return {
    wanted: new Set(wanted.map(({ digest }) => digest)),
    missing: [...opened].find(([, content]) => !content)?.[0],
    isUnwanted: hasOthers && !wanted.some(isManifest),
  };
}

function listEntries(content: ManifestContent | undefined): readonly IndexEntry[] {
  return content?.is === 'index' ? content.entries : [];
}

function checkSize(
  { reference }: PinnedAccess,
  { depth, manifests }: { readonly depth: number; readonly manifests: number },
): void {
  if (manifests > MOST_MANIFESTS) {
    const problem = `names more than ${MOST_MANIFESTS} manifests, and an image may have ${MOST_MANIFESTS}`;
    throw createContentError(reference, problem);
  }
  if (depth > MOST_LEVELS) {
    throw createContentError(reference, `has more than ${MOST_LEVELS} indexes in one another`);
  }
}

function checkTime({ reference, side }: PinnedAccess, isInTime: boolean): void {
  if (!isInTime) {
    const message = `reading what ${formatReference(reference)} consists of takes too long`;
    throw new RegistryError(message, { reason: 'Timeout', side });
  }
}

function toPart(image: PinnedAccess, digest: string): PinnedAccess {
  const { host, repository } = image.reference;
  return { ...image, reference: { host, repository, digest } };
}
