import { type AbsentParts, IncompleteImageError, RegistryError } from '../../src/errors.ts';
import { formatReference, withDigest } from '../../src/images/reference.ts';
import type { Reference } from '../../src/images/reference.ts';
import type {
  CopyAmounts,
  CopyJob,
  CopyResult,
  ImageParts,
  ImageRegistry,
} from '../../src/reconcile/ports.ts';

export const NOTHING_COPIED: CopyAmounts = { layersSent: 0, bytesSent: 0, layersMounted: 0, bytesMounted: 0 };

/**
 * Registries as a map from reference to digest, for tests of decisions. Proves nothing about real registries, the
 * engine, or credentials: the integration tests do.
 */
export class MemoryRegistry implements ImageRegistry {
  readonly digests: Map<string, string>;
  readonly privateHosts = new Set<string>();
  /** Thrown by the next calls to the given side. */
  failure: RegistryError | undefined;
  /** Of this host only. */
  failureOf: string | undefined;
  /** What a copy runs into whose target could not be seen. */
  isPushRefused = false;
  /** The backup refuses an index of which it does not have all parts. */
  takesWholeOnly = false;
  uploads = 0;
  /** Of every copy. */
  amounts: CopyResult = NOTHING_COPIED;
  /** What the backup lacks of an image, by the digest of the whole. */
  readonly missingParts = new Map<string, string>();
  /** What no registry has of an image, by the digest of the whole: a copy is made of what there is, if that is asked for. */
  readonly absentParts = new Map<string, AbsentParts>();
  /** What the backup has lost of an image since, in place of that. */
  readonly absentInBackup = new Map<string, AbsentParts>();
  /** What an image consists of, by its digest; nothing that anybody has named, for all others. */
  readonly parts = new Map<string, ImageParts>();
  /** The last copy that was ordered. */
  lastJob: CopyJob | undefined;

  constructor(digests: Readonly<Record<string, string>>) {
    this.digests = new Map(Object.entries(digests));
  }

  async fetchDigest(reference: Reference, side: 'source' | 'backup'): Promise<string | undefined> {
    if (this.failure?.side === side && (this.failureOf ?? reference.host) === reference.host) {
      throw this.failure;
    }
    if (reference.digest !== undefined) {
      const { host, repository, digest } = reference;
      return this.digests.get(formatReference({ host, repository, digest }));
    }
    return this.digests.get(formatReference(reference));
  }

  async copy(job: CopyJob): Promise<CopyResult> {
    const { source, copy } = job;
    this.lastJob = job;
    if (job.isUnseen && this.isPushRefused) {
      throw new RegistryError('not pushed', { reason: 'Unauthorized', side: 'backup' });
    }
    const digest = await this.fetchDigest(source, 'source');
    if (digest === undefined) {
      throw new RegistryError('gone', { reason: 'NotFound', side: 'source' });
    }
    const absent = this.absentParts.get(digest);
    if (absent && job.platforms?.toString() !== absent.platforms.toString()) {
      throw new IncompleteImageError(`the source lacks ${absent.missing}`, absent);
    }
    if (absent && this.takesWholeOnly) {
      throw new RegistryError('whole images only', { reason: 'Unsupported', side: 'backup' });
    }
    this.uploads += 1;
    if (job.isRepair) {
      this.missingParts.delete(digest);
    }
    this.put(copy, digest);
    return this.amounts;
  }

  async findMissingPart({ digest }: { readonly digest: string }): Promise<string | undefined> {
    return this.missingParts.get(digest);
  }

  async findAbsentParts(
    image: Reference & { readonly digest: string },
    { side }: { readonly side: 'source' | 'backup' },
  ): Promise<AbsentParts | undefined> {
    const isThere = (await this.fetchDigest(image, side)) !== undefined;
    const ofBackup = side === 'backup' ? this.absentInBackup.get(image.digest) : undefined;
    return isThere ? (ofBackup ?? this.absentParts.get(image.digest)) : undefined;
  }

  async listParts(
    image: Reference & { readonly digest: string },
    side: 'source' | 'backup',
  ): Promise<ImageParts | undefined> {
    if ((await this.fetchDigest(image, side)) === undefined) {
      return undefined;
    }
    return this.parts.get(image.digest) ?? { is: 'index', digests: new Set() };
  }

  async tag(copy: Reference, tag: string): Promise<void> {
    this.put({ ...copy, tag }, copy.digest ?? '');
  }

  async isPrivate({ host }: Reference): Promise<boolean> {
    return this.privateHosts.has(host);
  }

  /** Makes an image readable by tag and by digest. */
  put({ host, repository, tag }: Reference, digest: string): void {
    if (tag !== undefined) {
      this.digests.set(formatReference({ host, repository, tag }), digest);
    }
    this.digests.set(formatReference(withDigest({ host, repository }, digest)), digest);
  }
}
