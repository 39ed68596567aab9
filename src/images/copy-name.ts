import { createHash } from 'node:crypto';
import { UsageError } from '../errors.ts';
import {
  findReference,
  findReferenceProblem,
  formatReference,
  isDigest,
  isSameRepository,
  parseReference,
  quote,
} from './reference.ts';
import type { Reference } from './reference.ts';

/**
 * - `nested`: `PREFIX/docker.io/library/nginx`;
 * - `flat`: `PREFIX/docker-io-library-nginx-7e59ad6432`, for registries without nested repositories;
 * - `auto`: what the registry of the prefix is known to allow.
 */
export type Naming = 'auto' | 'nested' | 'flat';

/** REGISTRY_PREFIX taken apart: every copy is below it, and everything below it counts as a copy. */
export interface BackupPrefix {
  /** In lower case. */
  readonly host: string;
  /** Empty when copies go to the top of the registry. */
  readonly path: string;
}

/** Where copies go. */
export interface Destination {
  readonly prefix: BackupPrefix;
  readonly naming: Naming;
}

export interface CopyNamesRequest extends Destination {
  /** Must not be a copy itself. */
  readonly source: Reference;
  /** What the source means, or the running pods hold, now. */
  readonly digest: string;
  /** Not all platforms are copied. Such a copy never passes for a whole one: its immutable tag says so. */
  readonly isPartial?: boolean;
}

export type CopyRepository = Pick<Reference, 'host' | 'repository'>;

export interface CopyNames {
  /** Stands for one digest of one repository for good: nothing else is ever pushed there. */
  readonly immutable: Reference;
  /** The latest copy of a tag; absent for a source that is pinned to a digest, which may not be the latest. */
  readonly moving?: Reference;
  /** Image for the pod template. */
  readonly image: string;
}

/** Limit of host and repository together, as older clients count, kubelets among them. */
const LONGEST_NAME = 255;
/** Leaves half of the name to the copies. */
const LONGEST_PREFIX = 128;
const LONGEST_TAG = 128;
const PARTIAL = '-partial';
const IMMUTABLE_TAG = /--[a-f0-9]{12}(?:-partial)?$/;

/** What every registry with nested repositories accepts: ECR and GitLab know no `__` and no `--`. */
const SAFE_PATH = /^[a-z0-9]+(?:[._/-][a-z0-9]+)*$/;

/**
 * Reads the setting REGISTRY_PREFIX; one slash at its end does no harm.
 *
 * @throws {UsageError}
 */
export function parsePrefix(text: string): BackupPrefix {
  const written = text.trim().replace(/\/$/, '');
  // Only with a name below it is a prefix a prefix: `docker.io/u` alone is the image `docker.io/library/u`.
  const example = `${written}/x`;
  const problem = findPrefixTextProblem(written) ?? findReferenceProblem(example);
  if (problem !== undefined) {
    throw new UsageError(
      `REGISTRY_PREFIX cannot be used: ${problem}; ` +
        'write a registry and a path, such as registry.example.com/backup',
    );
  }
  const { host, repository } = parseReference(example);
  const prefix = { host: host.toLowerCase(), path: repository.slice(0, -'/x'.length) };
  const limit = findPrefixLimit(prefix);
  if (limit !== undefined) {
    throw new UsageError(`REGISTRY_PREFIX cannot be used: ${limit}`);
  }
  return prefix;
}

function findPrefixTextProblem(text: string): string | undefined {
  if (text === '') {
    return 'it is empty';
  }
  const hasTagOrDigest = !text.includes('://') && /@|\/[^/]*:/.test(text);
  return hasTagOrDigest ? 'it has a tag or a digest' : findHostProblem(text);
}

/** A first word that is no host means Docker Hub to those who know images, and a Service of the cluster to those who know that. */
function findHostProblem(text: string): string | undefined {
  const [first = ''] = text.split('/');
  // In capitals, too: the name of a copy has its host in small letters.
  const word = first.toLowerCase();
  const isWord = /^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/.test(word) && word !== 'localhost';
  return isWord
    ? `${quote(first)} can mean an account of Docker Hub, which is written docker.io/${word}, or a registry, which is ` +
        `written with a domain or a port: ${word}.namespace.svc or ${word}:5000`
    : undefined;
}

function findPrefixLimit({ host, path }: BackupPrefix): string | undefined {
  if (host === 'docker.io' && (path === '' || path === 'library')) {
    return 'Docker Hub needs a namespace, such as docker.io/your-name';
  }
  if (host === 'docker.io' && path.includes('/')) {
    return 'Docker Hub has no repositories below a repository; write only docker.io and a namespace';
  }
  if (host.length + path.length > LONGEST_PREFIX) {
    return `it has more than ${LONGEST_PREFIX} characters, which leaves too few for the names of the copies`;
  }
  return undefined;
}

/** Whether an image lies under the prefix. Such an image is never copied again. */
export function isCopy(reference: Reference, { host, path }: BackupPrefix): boolean {
  const isThere = path === '' || reference.repository.startsWith(`${path}/`);
  return isThere && reference.host.toLowerCase() === host;
}

/** The same of an image text; what is no image is no copy. */
export function isImageCopy(image: string, prefix: BackupPrefix): boolean {
  const reference = findReference(image);
  return reference !== undefined && isCopy(reference, prefix);
}

/** Where one digest of a source goes in the backup, and what a pod template says to run it from there. */
export function planCopyNames(request: CopyNamesRequest): CopyNames {
  const { source, digest, isPartial = false, ...destination } = request;
  if (isCopy(source, destination.prefix) || !isDigest(digest)) {
    throw new Error(`no copy can be named for ${formatReference(source)} with digest ${quote(digest)}`);
  }
  const repository = copyRepositoryOf(source, destination);
  const immutable = { ...repository, tag: immutableTagOf(source, digest, isPartial) };
  // Always pinned: a later copy of the tag moves it, and a tag that pods run from must not move.
  const image = formatReference({ ...repository, ...tagOf(source), digest });
  return hasMovingTag(source)
    ? { immutable, moving: { ...repository, ...tagOf(source) }, image }
    : { immutable, image };
}

/**
 * The one repository in the backup that holds the copies of a source repository, and of no other.
 *
 * A nested name starts with a host: `localhost`, or something with a dot or a port. A flat name has
 * neither dots nor underscores and ends in a hash of its source. So sources that no nested name can
 * spell get their flat one, and the two never meet.
 */
export function copyRepositoryOf(source: Reference, { prefix, naming }: Destination): CopyRepository {
  const base = prefix.path === '' ? '' : `${prefix.path}/`;
  const room = LONGEST_NAME - prefix.host.length - 1 - base.length;
  const nested = wantsFlat(prefix, naming) ? undefined : nestedPathOf(source);
  const path = nested !== undefined && nested.length <= room ? nested : flatPathOf(source, room);
  return { host: prefix.host, repository: `${base}${path}` };
}

/** Whether a reference lies where the copies of `source` are, or were under another `naming`. */
export function isInCopyRepositoryOf(reference: Reference, source: Reference, prefix: BackupPrefix): boolean {
  const isIn = (naming: Naming) => isSameRepository(reference, copyRepositoryOf(source, { prefix, naming }));
  return isIn('nested') || isIn('flat');
}

/** Whether a reference is a copy of `source` that this controller made, under this or any other `naming`. */
export function isCopyOf(reference: Reference, source: Reference, prefix: BackupPrefix): boolean {
  if (source.digest !== undefined && reference.digest !== undefined && source.digest !== reference.digest) {
    return false;
  }
  return isTagOfCopy(reference.tag, source) && isInCopyRepositoryOf(reference, source, prefix);
}

/**
 * Whether a reference has the name that a copy of `source` has below any prefix, such as an earlier one. Nobody knows
 * whether that was ever ours: it is enough to put an original back, and proves nothing about the source.
 */
export function isNamedAsCopyOf(reference: Reference, source: Reference): boolean {
  const parts = reference.repository.split('/');
  // The name of a copy is nested or flat, and what comes before it is the prefix: there are no other places to cut.
  const nested = nestedPathOf(source)?.split('/').length ?? 1;
  return [...new Set([1, nested])].some(
    (length) =>
      length <= parts.length &&
      isCopyOf(reference, source, { host: reference.host, path: parts.slice(0, -length).join('/') }),
  );
}

function isTagOfCopy(tag: string | undefined, source: Reference): boolean {
  if (tag === undefined || tag === source.tag) {
    return tag === source.tag;
  }
  if (source.digest !== undefined) {
    const { digest } = source;
    return [false, true].some((isPartial) => tag === immutableTagOf(source, digest, isPartial));
  }
  return tag.replace(IMMUTABLE_TAG, '') === tagStemOf(source) && IMMUTABLE_TAG.test(tag);
}

function wantsFlat({ host }: BackupPrefix, naming: Naming): boolean {
  if (naming !== 'auto') {
    return naming === 'flat';
  }
  return host === 'docker.io' || host.startsWith('registry.gitlab.');
}

function nestedPathOf({ host, repository }: Reference): string | undefined {
  // A host has no underscore of its own, and one that is no IPv6 address at most one colon.
  const path = `${host.replace(':', '_')}/${repository}`;
  return SAFE_PATH.test(path) ? path : undefined;
}

function flatPathOf({ host, repository }: Reference, room: number): string {
  const name = `${host}/${repository}`;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 10);
  const words = name.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  const readable = words
    .join('-')
    .slice(0, room - hash.length - 1)
    .replace(/-$/, '');
  return `${readable}-${hash}`;
}

function immutableTagOf(source: Reference, digest: string, isPartial: boolean): string {
  const hex = digest.slice(digest.indexOf(':') + 1);
  return `${tagStemOf(source)}--${hex.slice(0, 12)}${isPartial ? PARTIAL : ''}`;
}

function tagStemOf({ tag = 'digest' }: Reference): string {
  return tag.slice(0, LONGEST_TAG - '--'.length - 12 - PARTIAL.length);
}

function tagOf({ tag }: Reference): Pick<Reference, 'tag'> {
  return tag === undefined ? {} : { tag };
}

/** A source whose tag looks like one of our immutable ones must not move such a tag. */
function hasMovingTag({ tag, digest }: Reference): boolean {
  return tag !== undefined && digest === undefined && !IMMUTABLE_TAG.test(tag);
}
