import { InvalidImageError } from '../errors.ts';

/**
 * An image text taken apart and spelled out, `nginx` as `docker.io/library/nginx:latest`.
 * Two texts mean the same source when {@link formatReference} gives the same for both.
 */
export interface Reference {
  /** Registry with its port, in the case it was written in. */
  readonly host: string;
  readonly repository: string;
  /** Absent only when a digest was written without one. */
  readonly tag?: string;
  readonly digest?: string;
}

const DOCKER_HUB = 'docker.io';
const OTHER_DOCKER_HUB = 'index.docker.io';

/** Host 253, port 6, repository 255, tag 128, digest 135 and four separators; rounded up. */
const LONGEST_TEXT = 1_000;
const LONGEST_REPOSITORY = 255;

// No pattern can match the same text in two ways: time stays linear whatever a template holds.
const HOST = /^([a-zA-Z0-9]+(?:(?:\.|-+)[a-zA-Z0-9]+)*|\[[a-fA-F0-9:]+\])(?::([0-9]+))?$/;
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|__?|-+|\/)[a-z0-9]+)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}$/;
const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/;
const IMAGE_ID = /^[a-f0-9]{64}$/;
const SCHEME = /^[a-z-]{1,30}:\/\//;
const FOREIGN_CHARACTER = /[^a-zA-Z0-9_.:/@[\]+-]/u;

/**
 * Reads an image text by the rules of distribution/reference, as the kubelet does.
 *
 * @throws {InvalidImageError} when it is none, or names a host that no client can reach; the message is
 * fit for a log or an event whatever the text holds.
 */
export function parseReference(text: string): Reference {
  const problem = findReferenceProblem(text);
  if (problem !== undefined) {
    throw new InvalidImageError(`image ${quote(text)} cannot be used: ${problem}`);
  }
  const { host, repository, tag, digest } = splitReference(text);
  if (digest === undefined) {
    return { host, repository, tag: tag ?? 'latest' };
  }
  return tag === undefined ? { host, repository, digest } : { host, repository, tag, digest };
}

/** The same for a text that may be none; undefined then. */
export function findReference(text: string): Reference | undefined {
  return findReferenceProblem(text) === undefined ? parseReference(text) : undefined;
}

/** The canonical text: `host/repository[:tag][@digest]`. */
export function formatReference({ host, repository, tag, digest }: Reference): string {
  const tagPart = tag === undefined ? '' : `:${tag}`;
  const digestPart = digest === undefined ? '' : `@${digest}`;
  return `${host}/${repository}${tagPart}${digestPart}`;
}

export function isSameRepository(a: Reference, b: Reference): boolean {
  return a.host === b.host && a.repository === b.repository;
}

/** The same image pinned; a tag is kept, and means nothing any more. */
export function withDigest(reference: Reference, digest: string): Reference & { readonly digest: string } {
  return { ...reference, digest };
}

export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** Whether two image texts are the same, or differ by no more than a tag that a digest makes needless. */
export function isSameImage(image: string, other: string): boolean {
  if (image === other) {
    return true;
  }
  // Most are different at a glance: thousands of pods may have to be compared.
  const pin = image.indexOf('@');
  if (pin === -1 || !other.endsWith(image.slice(pin))) {
    return false;
  }
  const [a, b] = [findReference(image), findReference(other)];
  const isPinned = a?.digest !== undefined && a.digest === b?.digest;
  return a !== undefined && b !== undefined && isPinned && isSameRepository(a, b);
}

/** Text of unknown origin in quotes, made fit for a log line or an event: printable ASCII, and not long. */
export function quote(text: string): string {
  const LONGEST = 200;
  const shown = text.slice(0, LONGEST).replaceAll(/[^\x20-\x7e]/gu, '?');
  return JSON.stringify(text.length > LONGEST ? `${shown}...` : shown);
}

/** Why a text is no reference, as a clause for a sentence to the user; undefined when it is one. */
export function findReferenceProblem(text: string): string | undefined {
  const problem = findTextProblem(text);
  if (problem !== undefined) {
    return problem;
  }
  const { host, repository, tag, digest } = splitReference(text);
  if (digest !== undefined && !DIGEST.test(digest)) {
    return 'what follows "@" is not a digest such as "sha256:" and 64 lower-case hexadecimal digits';
  }
  if (tag !== undefined && !TAG.test(tag)) {
    return 'a tag has 1 to 128 letters, digits, "_", "." or "-", the first of them a letter, a digit or "_"';
  }
  return findHostProblem(host) ?? findRepositoryProblem(repository);
}

function findTextProblem(text: string): string | undefined {
  if (text === '') {
    return 'it is empty';
  }
  if (text.length > LONGEST_TEXT) {
    return `it has ${text.length} characters, and no image needs more than ${LONGEST_TEXT}`;
  }
  const scheme = SCHEME.exec(text)?.[0];
  if (scheme !== undefined) {
    return `an image is written without "${scheme}"`;
  }
  const foreign = FOREIGN_CHARACTER.exec(text)?.[0];
  if (foreign !== undefined) {
    return `the character ${nameCharacter(foreign)} is not allowed`;
  }
  if (IMAGE_ID.test(text)) {
    return '64 hexadecimal digits are the ID of an image, not its name';
  }
  return undefined;
}

function nameCharacter(character: string): string {
  if (/^[\x20-\x7e]$/.test(character)) {
    return JSON.stringify(character);
  }
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

function findHostProblem(host: string): string | undefined {
  if (host.includes('_')) {
    // The grammar then takes the whole text for a repository, on no host at all.
    return `the host ${quote(host)} has an underscore, and no registry can be reached by such a name`;
  }
  const match = HOST.exec(host);
  if (!match) {
    return `${quote(host)} is not the host of a registry`;
  }
  const [, name = '', port = '443'] = match;
  if (Number(port) < 1 || Number(port) > 65_535) {
    return `the port of the host ${quote(host)} is not between 1 and 65535`;
  }
  return name.startsWith('[') ? findIpv6Problem(name) : findDnsProblem(name);
}

function findIpv6Problem(name: string): string | undefined {
  return URL.canParse(`http://${name}/`) ? undefined : `${quote(name)} is not an IPv6 address`;
}

function findDnsProblem(name: string): string | undefined {
  if (name.length <= 253 && name.split('.').every((label) => label.length <= 63)) {
    return undefined;
  }
  return `the host ${quote(name)} is longer than DNS allows: 63 characters between dots, 253 in all`;
}

function findRepositoryProblem(repository: string): string | undefined {
  if (/[A-Z]/.test(repository)) {
    return 'the repository has capital letters';
  }
  if (!REPOSITORY.test(repository)) {
    return 'a repository is words of a-z and 0-9, joined by "/", ".", "_", "__" or dashes';
  }
  if (repository.length > LONGEST_REPOSITORY) {
    return `the repository has ${repository.length} characters, and ${LONGEST_REPOSITORY} is the limit`;
  }
  return undefined;
}

/** The parts of any text, right or wrong, cut where a reference has its separators. */
function splitReference(text: string): Reference {
  const { before: tagged, after: digest } = cut(text, text.indexOf('@'));
  const colon = tagged.lastIndexOf(':');
  const { before: name, after: tag } = cut(tagged, colon > tagged.lastIndexOf('/') ? colon : -1);
  return {
    ...splitName(name),
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

function splitName(name: string): Pick<Reference, 'host' | 'repository'> {
  const { before: first, after: rest } = cut(name, name.indexOf('/'));
  if (rest === undefined || !(first === 'localhost' || /[.:A-Z]/.test(first))) {
    return onDockerHub(name);
  }
  if (first === DOCKER_HUB || first === OTHER_DOCKER_HUB) {
    return onDockerHub(rest);
  }
  return { host: first, repository: rest };
}

function onDockerHub(name: string): Pick<Reference, 'host' | 'repository'> {
  return { host: DOCKER_HUB, repository: name.includes('/') ? name : `library/${name}` };
}

function cut(text: string, at: number): { readonly before: string; readonly after?: string } {
  return at === -1 ? { before: text } : { before: text.slice(0, at), after: text.slice(at + 1) };
}
