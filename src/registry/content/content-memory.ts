import type { IndexEntry, ManifestContent } from '../manifests/manifest-content.ts';

/** What manifests consist of, by digest: that never changes. What was not asked for the longest is forgotten first. */
export interface ContentMemory {
  recall(digest: string): ManifestContent | undefined;
  remember(digest: string, content: ManifestContent): void;
}

export interface ContentMemoryLimits {
  readonly mostManifests: number;
  readonly mostBytes: number;
}

/** An index of eight platforms with their attestations takes 5 kB. */
const LIMITS: ContentMemoryLimits = { mostManifests: 5_000, mostBytes: 16 * 1024 * 1024 };

export function createContentMemory({ mostManifests, mostBytes } = LIMITS): ContentMemory {
  const known = new Map<string, ManifestContent>();
  let bytes = 0;

  function forget(digest: string): void {
    const content = known.get(digest);
    if (content) {
      known.delete(digest);
      bytes -= estimateBytes(content);
    }
  }

  return {
    recall(digest) {
      const content = known.get(digest);
      if (content) {
        known.delete(digest);
        known.set(digest, content);
      }
      return content;
    },
    remember(digest, content) {
      forget(digest);
      known.set(digest, content);
      bytes += estimateBytes(content);
      for (const oldest of known.keys()) {
        if (known.size <= mostManifests && bytes <= mostBytes) {
          return;
        }
        forget(oldest);
      }
    },
  };
}

function estimateBytes(content: ManifestContent): number {
  const ITSELF = 250;
  const LAYER = 200;
  return content.is === 'manifest'
    ? ITSELF + LAYER * content.large.length
    : content.entries.map(estimateEntry).reduce((a, b) => a + b, ITSELF);
}

/** Objects and digest; and the texts of the platform, of any length, at two bytes a character. */
function estimateEntry({ platform = {} }: IndexEntry): number {
  const { os = '', architecture = '', variant = '' } = platform;
  return 250 + 2 * (os.length + architecture.length + variant.length);
}
