import { RegistryError, type RegistrySide } from '../../src/errors.ts';
import { formatReference, type Reference } from '../../src/images/reference.ts';

type Repository = Pick<Reference, 'host' | 'repository'>;

function nameOf({ host, repository }: Repository): string {
  return formatReference({ host, repository });
}

/**
 * The source and the backup in memory: which digests a repository has, and what its tags mean. It proves nothing about
 * real registries; it can only be asked, written to, emptied and switched off.
 */
export class RegistryModel {
  readonly #digests = new Map<string, Set<string>>();
  readonly #tags = new Map<string, Map<string, string>>();
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

  put(repository: Repository, tag: string, digest: string): void {
    const name = nameOf(repository);
    this.#digests.set(name, (this.#digests.get(name) ?? new Set()).add(digest));
    this.#tags.set(name, (this.#tags.get(name) ?? new Map()).set(tag, digest));
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

  /** Removes a digest with all its tags, as a clean-up does. */
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
