import { z } from 'zod';

import type { Credential } from './credentials.ts';

/** A Docker `config.json`, as far as credentials go. */
export interface DockerConfig {
  /** By key as written: host, optionally with port, path and `*` in host labels. */
  readonly credentials: ReadonlyMap<string, Credential>;
  /** Helper program by key. */
  readonly helpers: ReadonlyMap<string, string>;
  /** Helper program for every registry without an entry of its own. */
  readonly store: string | undefined;
  /** In the order of the file. */
  readonly unusable: readonly UnusableEntry[];
}

export interface UnusableEntry {
  /** Undefined: it could have been about any registry. */
  readonly key: string | undefined;
  /** Its place in the file, and what is wrong with it; quotes nothing of it. */
  readonly problem: string;
}

export const NO_CREDENTIALS: DockerConfig = {
  credentials: new Map(),
  helpers: new Map(),
  store: undefined,
  unusable: [],
};

const OBJECT = z.record(z.string(), z.unknown());
const ENTRY = z.object({
  auth: z.string().nullish(),
  username: z.string().nullish(),
  password: z.string().nullish(),
  identitytoken: z.string().nullish(),
  registrytoken: z.string().nullish(),
});
type Entry = z.infer<typeof ENTRY>;
const FIELDS: readonly string[] = Object.keys(ENTRY.shape);

/** Some editors put one in front of a file, and JSON has none. */
const BYTE_ORDER_MARK = /^\uFEFF/;

/**
 * Reads the text of a Docker `config.json`, or of the older `.dockercfg`, which has the registries at its top level. An
 * entry that cannot be used says nothing about the others.
 *
 * @throws {Error} when it is no JSON object; the message quotes nothing of the text.
 */
export function parseDockerConfig(text: string): DockerConfig {
  const parsed = OBJECT.safeParse(parseJson(text.replace(BYTE_ORDER_MARK, '')));
  if (!parsed.success) {
    throw new Error('it is not of the form {"auths": {"<registry>": {"auth": "<base64 of user:password>"}}}');
  }
  const file = foldNames(parsed.data, SECTIONS);
  const unusable: UnusableEntry[] = [];
  const isOld = isOldForm(file);
  if (!isOld && Object.entries(file).some(([name, value]) => !isSection(name) && isLogin(value))) {
    unusable.push({
      key: undefined,
      problem: 'config.json has a login beside its sections: move it into "auths"',
    });
  }
  const auths = isOld ? file : openSection(file, 'auths', unusable);
  const credentials = new Map<string, Credential>();
  for (const [index, [key, value]] of Object.entries(auths).entries()) {
    const read = readEntry(value);
    if (typeof read === 'object') {
      credentials.set(key, read);
    } else if (read !== undefined) {
      const place = isOld ? `entry ${index + 1}` : `entry ${index + 1} of "auths"`;
      unusable.push({ key, problem: `${place} of config.json ${read}` });
    }
  }
  return { credentials, helpers: readHelpers(file, unusable), store: readStore(file, unusable), unusable };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The message of a SyntaxError quotes the text, and the text holds passwords.
    throw new Error('it is not valid JSON');
  }
}

type File = z.infer<typeof OBJECT>;

const SECTIONS = ['auths', 'credHelpers', 'credsStore'] as const;

function isSection(name: string): boolean {
  return SECTIONS.some((section) => section === name);
}

/** With these names as they are usually written: programs in Go, the kubelet among them, read them in whatever case. */
function foldNames(object: File, names: readonly string[]): File {
  const usual = new Map(names.map((name) => [name.toLowerCase(), name]));
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => [usual.get(name.toLowerCase()) ?? name, value]),
  );
}

/** Usable or not. */
function isLogin(value: unknown): boolean {
  const fields = OBJECT.safeParse(value).data;
  return fields !== undefined && Object.keys(foldNames(fields, FIELDS)).some((name) => FIELDS.includes(name));
}

/** No section that the newer form has, and something that looks like a login. */
function isOldForm(file: File): boolean {
  return !Object.keys(file).some(isSection) && Object.values(file).some(isLogin);
}

function openSection(file: File, name: 'auths' | 'credHelpers', unusable: UnusableEntry[]): File {
  const section = OBJECT.nullish().safeParse(file[name]);
  if (!section.success) {
    unusable.push({ key: undefined, problem: `"${name}" of config.json is no object` });
  }
  return section.data ?? {};
}

/** A credential; what is wrong with the entry; or undefined for an empty one, with which `docker login` refers to a store. */
function readEntry(value: unknown): Credential | string | undefined {
  const fields = OBJECT.safeParse(value).data;
  const parsed = ENTRY.safeParse(fields && foldNames(fields, FIELDS));
  return parsed.success ? readLogin(parsed.data) : 'is not of the form {"auth": "<base64 of user:password>"}';
}

/** Where there is an `auth`, it wins over a user and a password, as it does for the kubelet. */
function readLogin({
  auth,
  username,
  password,
  identitytoken,
  registrytoken,
}: Entry): Credential | string | undefined {
  if (identitytoken) {
    return { kind: 'identityToken', token: identitytoken };
  }
  if (auth) {
    return readAuth(auth);
  }
  if (username || password) {
    return toCredential(username ?? '', password ?? '');
  }
  return registrytoken ? 'has a "registrytoken", which is not supported' : undefined;
}

function readAuth(auth: string): Credential | string {
  // Some tools pad with NUL characters; a password may contain colons, a user name may not.
  const decoded = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = decoded.indexOf(':');
  return colon === -1
    ? 'has an "auth" that is not the base64 of user:password'
    : toCredential(decoded.slice(0, colon), decoded.slice(colon + 1));
}

/** A secret without a user is a refresh token, as it is for containerd. */
function toCredential(username: string, password: string): Credential | string {
  if (username !== '') {
    return { kind: 'password', username, password };
  }
  return password === '' ? 'has neither a user nor a password' : { kind: 'identityToken', token: password };
}

function readHelpers(file: File, unusable: UnusableEntry[]): ReadonlyMap<string, string> {
  const helpers = new Map<string, string>();
  const entries = Object.entries(openSection(file, 'credHelpers', unusable));
  for (const [index, [key, helper]] of entries.entries()) {
    if (typeof helper === 'string' && helper !== '') {
      helpers.set(key, helper);
    } else {
      unusable.push({ key, problem: `entry ${index + 1} of "credHelpers" of config.json names no program` });
    }
  }
  return helpers;
}

function readStore({ credsStore }: File, unusable: UnusableEntry[]): string | undefined {
  if (typeof credsStore === 'string' || credsStore === undefined || credsStore === null) {
    return credsStore || undefined;
  }
  unusable.push({ key: undefined, problem: '"credsStore" of config.json names no program' });
  return undefined;
}
