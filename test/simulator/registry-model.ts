import { RegistryError, type RegistrySide } from '../../src/errors.ts';
import { formatReference, type Reference } from '../../src/images/reference.ts';
import type { ImageParts } from '../../src/reconcile/ports.ts';

/** Where images come from. The controller knows of the first two only. */
export const HOSTS = {
  source: 'source.example',
  backup: 'backup.example',
  /** A mirror that has nothing. */
  empty: 'empty.example',
  /** A mirror of the source with other images under the same names. */
  hardened: 'hardened.example',
  /** Whatever the backup has, under another name. */
  pullThrough: 'pull-through.example',
} as const;

export const PLATFORMS = ['amd64', 'arm64'] as const;
export type Platform = (typeof PLATFORMS)[number];

/** Manifests of an index. */
export type Parts = Readonly<Record<Platform, string>>;

type Repository = Pick<Reference, 'host' | 'repository'>;

function nameOf({ host, repository }: Repository): string {
  return formatReference({ host: host === HOSTS.pullThrough ? HOSTS.backup : host, repository });
}

/**
 * The source and the backup in memory: which digests a repository has, and what its tags mean. It proves nothing about
 * real registries; it can only be asked, written to, emptied and switched off.
 */
export class RegistryModel {
  readonly #digests = new Map<string, Set<string>>();
  readonly #tags = new Map<string, Map<string, string>>();
  /** Of the images that are indexes. All others are one manifest, for any platform. */
  readonly #parts = new Map<string, Parts>();
  readonly #platforms = new Map<string, Platform>();
  /** All that a tag has ever meant, by repository and tag. */
  readonly #meanings = new Map<string, Set<string>>();
  /** Step at which the backup was last heard to have a digest, and at which it lost one; by repository and digest. */
  readonly #seenAt = new Map<string, number>();
  readonly #lostAt = new Map<string, number>();
  readonly isUp: Record<RegistrySide, boolean> = { source: true, backup: true };

  /** What a registry answers to a HEAD, without asking whether it is up. */
  find(reference: Reference): string | undefined {
    const name = nameOf(reference);
    const digest = reference.digest ?? this.#tags.get(name)?.get(reference.tag ?? '');
    return digest !== undefined && this.#digests.get(name)?.has(digest) ? digest : undefined;
  }

  /** From now on a digest is that of an index, wherever it is. */
  define(index: string, parts: Parts): void {
    this.#parts.set(index, parts);
    for (const platform of PLATFORMS) {
      this.#platforms.set(parts[platform], platform);
    }
  }

  isIndex(digest: string): boolean {
    return this.#parts.has(digest);
  }

  /** The manifest of an image that a node takes. */
  findContent(digest: string, platform: Platform): string {
    return this.#parts.get(digest)?.[platform] ?? digest;
  }

  /** The only platform that a manifest is for; undefined for one that runs everywhere, and for an index. */
  findPlatform(digest: string): Platform | undefined {
    return this.#platforms.get(digest);
  }

  /** What a registry answers to who reads an image. */
  listParts(image: Reference): ImageParts | undefined {
    const digest = this.find(image);
    const parts = digest === undefined ? undefined : this.#parts.get(digest);
    if (digest === undefined) {
      return undefined;
    }
    return parts ? { is: 'index', digests: new Set(Object.values(parts)) } : { is: 'manifest' };
  }

  findMissingPart(image: Reference): string | undefined {
    const parts = this.listParts(image);
    const digests = parts?.is === 'index' ? [...parts.digests] : [];
    return digests.find((digest) => this.find({ ...image, digest }) === undefined);
  }

  /** Whether a tag means a digest, or has meant it. */
  hasMeant({ tag = '', ...repository }: Reference, digest: string): boolean {
    return this.#meanings.get(`${nameOf(repository)}:${tag}`)?.has(digest) === true;
  }

  /** @throws {RegistryError} while that side is down. */
  assertUp(side: RegistrySide): void {
    if (!this.isUp[side]) {
      throw new RegistryError(`${side} is down`, { reason: 'RegistryUnavailable', side });
    }
  }

  noteSeen(repository: Repository, digest: string, step: number): void {
    this.#seenAt.set(`${nameOf(repository)}@${digest}`, step);
  }

  /** True when a digest is there, or was when the backup was last asked: nothing can be done about what comes after. */
  wasProven(reference: Reference): boolean {
    const key = `${nameOf(reference)}@${reference.digest ?? ''}`;
    const seenAt = this.#seenAt.get(key);
    return (
      seenAt !== undefined && (this.find(reference) !== undefined || (this.#lostAt.get(key) ?? -1) >= seenAt)
    );
  }

  /** An index comes with its manifests. */
  put(repository: Repository, tag: string, digest: string): void {
    const name = nameOf(repository);
    const all = [digest, ...Object.values(this.#parts.get(digest) ?? {})];
    this.#digests.set(name, new Set([...(this.#digests.get(name) ?? []), ...all]));
    this.#tags.set(name, (this.#tags.get(name) ?? new Map()).set(tag, digest));
    const meaning = `${name}:${tag}`;
    this.#meanings.set(meaning, (this.#meanings.get(meaning) ?? new Set()).add(digest));
  }

  removeTag(repository: Repository, tag: string): void {
    this.#tags.get(nameOf(repository))?.delete(tag);
  }

  /** All that is in the repositories of a host, as repository and digest. */
  list(host: string): readonly { readonly repository: string; readonly digest: string }[] {
    return [...this.#digests]
      .filter(([name]) => name.startsWith(`${host}/`))
      .flatMap(([name, digests]) =>
        [...digests].map((digest) => ({ repository: name.slice(host.length + 1), digest })),
      );
  }

  /** Puts back what the backup has lost of images that no tag means any more: nobody knows where to get it. */
  completeOrphans(): void {
    const tags = [...this.#tags].filter(([name]) => !name.startsWith(`${HOSTS.backup}/`));
    const meanings = new Set(tags.flatMap(([, meant]) => [...meant.values()]));
    for (const [name, digests] of this.#digests) {
      const orphans = [...digests].filter((digest) => !meanings.has(digest));
      if (name.startsWith(`${HOSTS.backup}/`)) {
        const parts = orphans.flatMap((digest) => Object.values(this.#parts.get(digest) ?? {}));
        this.#digests.set(name, new Set([...digests, ...parts]));
      }
    }
  }

  /** Removes a digest with all its tags, as a clean-up does; an index may be left without one of its manifests. */
  lose(repository: Repository, digest: string, step: number): void {
    const name = nameOf(repository);
    this.#digests.get(name)?.delete(digest);
    this.#lostAt.set(`${name}@${digest}`, step);
    for (const [tag, meaning] of this.#tags.get(name) ?? []) {
      if (meaning === digest) {
        this.#tags.get(name)?.delete(tag);
      }
    }
  }
}
