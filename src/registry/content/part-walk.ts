import type { Clock } from '../../clock.ts';
import { RegistryError } from '../../errors.ts';
import { isWantedPlatform, type Platforms } from '../../images/platforms.ts';
import { formatReference } from '../../images/reference.ts';
import { findExcess } from '../manifests/image-limits.ts';
import { createContentError, type IndexEntry, type ManifestContent } from '../manifests/manifest-content.ts';
import type { PinnedAccess } from '../manifests/image-access.ts';
import type { ReadContent } from './content-reader.ts';

export interface WalkDeps {
  readonly read: ReadContent;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

export interface Walk {
  readonly image: PinnedAccess;
  readonly top: ManifestContent & { readonly is: 'index' };
  readonly platforms: Platforms;
}

/** All that an index names, at any depth. */
export interface PartList {
  /** Manifests and indexes for the wanted platforms, as often as they are named. */
  readonly wanted: readonly IndexEntry[];
  /** What had to be read to know what is below it, and is not there. */
  readonly missing: string | undefined;
  /** There are manifests, and none of them is wanted. */
  readonly isUnwanted: boolean;
}

/** Indexes in one another; real images have two at most. */
const MOST_LEVELS = 8;
/** A registry that takes its time for each of many must not keep others waiting for as long. */
const LONGEST_WALK_MS = 60_000;

/** Level by level, and one after another: nobody is in a hurry. */
export async function walkParts(
  { read, clock }: WalkDeps,
  { image, top, platforms }: Walk,
): Promise<PartList> {
  const named = new Set<string>();
  const wanted: IndexEntry[] = [];
  const opened = new Map<string, ManifestContent | undefined>();
  let hasOthers = false;
  let level = top.entries;
  const checkTime = startTimer(clock, image);
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
        checkTime();
        const content = await read(toPart(image, entry.digest));
        opened.set(entry.digest, content);
        below.push(...listEntries(content));
      }
    }
    level = below;
  }
  const isManifest = ({ is, digest }: IndexEntry): boolean => (opened.get(digest)?.is ?? is) === 'manifest';
  return {
    wanted,
    missing: [...opened].find(([, content]) => !content)?.[0],
    isUnwanted: hasOthers && !wanted.some(isManifest),
  };
}

/** @returns what throws `Timeout` once reading an image has taken too long. */
export function startTimer(clock: WalkDeps['clock'], { reference, side }: PinnedAccess): () => void {
  const endMs = clock.monotonicMs() + LONGEST_WALK_MS;
  return () => {
    if (clock.monotonicMs() >= endMs) {
      const message = `reading what ${formatReference(reference)} consists of takes too long`;
      throw new RegistryError(message, { reason: 'Timeout', side });
    }
  };
}

/** With the size that the index says, no more of it is read than that. */
export function toPart(image: PinnedAccess, digest: string, sizeBytes?: number): PinnedAccess {
  const { host, repository } = image.reference;
  const part = { ...image, reference: { host, repository, digest } };
  return sizeBytes === undefined ? part : { ...part, mostBytes: sizeBytes };
}

function listEntries(content: ManifestContent | undefined): readonly IndexEntry[] {
  return content?.is === 'index' ? content.entries : [];
}

function checkSize(
  { reference }: PinnedAccess,
  { depth, manifests }: { readonly depth: number; readonly manifests: number },
): void {
  const excess = findExcess({ manifests });
  if (excess !== undefined) {
    throw createContentError(reference, excess);
  }
  if (depth > MOST_LEVELS) {
    throw createContentError(reference, `has more than ${MOST_LEVELS} indexes in one another`);
  }
}
