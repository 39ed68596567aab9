import type { AbsentParts } from '../../errors.ts';
import { namePlatform, type Platform, type Platforms } from '../../images/platforms.ts';
import type { PinnedAccess } from '../manifests/image-access.ts';
import type { IndexEntry } from '../manifests/manifest-content.ts';
import type { ManifestClient } from '../manifests/manifests.ts';
import { startTimer, toPart, type WalkDeps, walkParts } from './part-walk.ts';

interface AbsenceDeps extends WalkDeps {
  readonly manifests: Pick<ManifestClient, 'fetchDigest'>;
}

/** Of many, these are told. */
const MOST_TOLD = 3;

/**
 * What of an index its registry does not have: mirrors that were made for one platform have the index of all of them.
 * Undefined when it has everything, or the image is none or no index. Costs a HEAD for each part.
 */
export type FindAbsentParts = (image: PinnedAccess, platforms: Platforms) => Promise<AbsentParts | undefined>;

export function createAbsenceFinder(deps: AbsenceDeps): FindAbsentParts {
  return async (image, platforms) => {
    // What it consists of may be remembered of an image that is gone.
    const isThere = (await deps.manifests.fetchDigest(image)) !== undefined;
    const top = isThere ? await deps.read(image) : undefined;
    if (top?.is !== 'index') {
      return undefined;
    }
    const { wanted } = await walkParts(deps, { image, top, platforms });
    const checkTime = startTimer(deps.clock, image);
    const absent = new Set<string>();
    const sizes = new Map(wanted.map(({ digest, sizeBytes }) => [digest, sizeBytes]));
    for (const [digest, sizeBytes] of sizes) {
      checkTime();
      if ((await deps.manifests.fetchDigest(toPart(image, digest, sizeBytes))) === undefined) {
        absent.add(digest);
      }
    }
    return absent.size === 0 ? undefined : toAbsentParts(wanted, absent);
  };
}

function toAbsentParts(wanted: readonly IndexEntry[], absent: ReadonlySet<string>): AbsentParts {
  const isAbsent = ({ digest }: IndexEntry): boolean => absent.has(digest);
  // A node does not say which variant it takes: where one is lost, no other of the same architecture is sure to do.
  const lost = new Set(wanted.filter(isAbsent).flatMap(toNames).map(toArchitecture));
  const kept = wanted.filter((entry) => !isAbsent(entry)).flatMap(toNames);
  const platforms = [...new Set(kept)].filter((name) => !lost.has(toArchitecture(name))).toSorted();
  return { platforms, missing: describe(wanted.filter(isAbsent)) };
}

function toNames({ platform }: IndexEntry): readonly string[] {
  const name = platform && namePlatform(platform);
  return name === undefined ? [] : [name];
}

function toArchitecture(platform: string): string {
  return platform.split('/').slice(0, 2).join('/');
}

function describe(entries: readonly IndexEntry[]): string {
  const told = new Map(entries.map(({ digest, platform }) => [digest, describePlatform(platform)]));
  const first = [...told].slice(0, MOST_TOLD).map(([digest, platform]) => `${digest}${platform}`);
  const more = told.size - first.length;
  return `${first.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Of a document that anybody may have written. */
function describePlatform(platform: Platform | undefined): string {
  const { os = '', architecture = '', variant = '' } = platform ?? {};
  const text = [os, architecture, variant].filter(Boolean).join('/');
  return text === '' ? '' : ` (${/^[\w./-]{1,60}$/.test(text) ? text : 'a platform without a proper name'})`;
}
