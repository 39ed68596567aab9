/** What is copied of an image that has several platforms: all, or these (`linux/amd64`, `linux/arm/v7`). */
export type Platforms = 'all' | readonly string[];

/** As an index describes the image for one platform. */
export interface Platform {
  readonly os?: string | undefined;
  readonly architecture?: string | undefined;
  readonly variant?: string | undefined;
}

const PLATFORM =
  /^linux\/(?:amd64(?:\/v[1-4])?|arm64(?:\/v[89])?|arm(?:\/v[5-8])?|386|loong64|mips64le|ppc64le|riscv64|s390x)$/;

/** Some variants are what goes without saying, and are written or not. */
const SAME: Readonly<Record<string, string>> = {
  'linux/amd64/v1': 'linux/amd64',
  'linux/arm64/v8': 'linux/arm64',
  'linux/arm': 'linux/arm/v7',
};

/** Reads a list such as `linux/amd64,linux/arm64`, or `all`; undefined when it names something else. */
export function parsePlatforms(text: string): Platforms | undefined {
  if (text.trim() === 'all') {
    return 'all';
  }
  const entries = text.split(',').flatMap((part) => part.trim() || []);
  if (entries.length === 0 || !entries.every((entry) => PLATFORM.test(entry))) {
    return undefined;
  }
  return [...new Set(entries.map(normalize))].toSorted();
}

/** True for what is to be copied. Without a platform it may be for any: images of that kind are always wanted. */
export function isWantedPlatform(platform: Platform | undefined, platforms: Platforms): boolean {
  if (platforms === 'all' || !platform?.os) {
    return true;
  }
  const { os, architecture = '', variant = '' } = platform;
  return platforms.includes(normalize([os, architecture, variant].filter(Boolean).join('/')));
}

/** `linux/arm/v7`, as PLATFORMS names it; undefined for what it has no name for. */
export function namePlatform({ os, architecture, variant }: Platform): string | undefined {
  const name = normalize([os, architecture, variant].filter(Boolean).join('/'));
  return PLATFORM.test(name) ? name : undefined;
}

/**
 * Those of the nodes' platforms (`linux/arm64`: what a node tells has no variant) that are not copied. A pod that
 * comes to such a node could not start from a copy.
 */
export function listUncoveredPlatforms(nodes: readonly string[], platforms: Platforms): readonly string[] {
  if (platforms === 'all') {
    return [];
  }
  const covered = new Set(platforms.map((platform) => platform.split('/').slice(0, 2).join('/')));
  return [...new Set(nodes)].filter((node) => !covered.has(node)).toSorted();
}

function normalize(platform: string): string {
  return SAME[platform] ?? platform;
}
