import { join } from 'node:path';

import type { Clock } from '../../clock.ts';
import { UsageError, type RegistrySide } from '../../errors.ts';
import type { Reference } from '../../images/reference.ts';
import { readSmallFile } from '../../small-file.ts';
import { fetchHelperCredential } from './credential-helper.ts';
import {
  findCredential,
  NO_CREDENTIALS,
  parseDockerConfig,
  type Credential,
  type DockerConfig,
} from './credentials.ts';

/** Credential to be shown to the registry of a reference; undefined: be anonymous there. */
export type FindCredential = (
  reference: Reference,
  side: RegistrySide,
  signal: AbortSignal,
) => Promise<Credential | undefined>;

export interface CredentialFinderOptions {
  /** Folder of `config.json`; undefined: no credentials. */
  readonly folder: string | undefined;
  /** For helper programs, which find their cloud identity in it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly helperTimeoutMs?: number;
}

const HELPER_TIMEOUT_MS = 30_000;
/** A helper's answer is good for a burst of look-ups; cloud tokens live much longer. */
const KEEP_HELPER_ANSWER_MS = 60_000;

/** The file is read for every call, because a mounted Secret changes without notice. */
export function createCredentialFinder(options: CredentialFinderOptions): FindCredential {
  const answers = new Map<
    string,
    { readonly credential: Credential | undefined; readonly untilMs: number }
  >();
  return async (reference, side, signal) => {
    const place = findCredential(await readDockerConfig(options.folder), reference);
    if (place?.kind !== 'helper') {
      return place?.credential;
    }
    const { helper, server } = place;
    const key = `${helper} ${server}`;
    const known = answers.get(key);
    if (known && options.clock.monotonicMs() < known.untilMs) {
      return known.credential;
    }
    const { environment, helperTimeoutMs: timeoutMs = HELPER_TIMEOUT_MS } = options;
    const credential = await fetchHelperCredential({ helper, server, side, environment, timeoutMs, signal });
    answers.set(key, { credential, untilMs: options.clock.monotonicMs() + KEEP_HELPER_ANSWER_MS });
    return credential;
  };
}

/**
 * The credentials in `<folder>/config.json` as they are now; none when there is no such file.
 *
 * @throws {UsageError} when the file cannot be read or understood, is no regular file or has more than 1 MiB; the message quotes nothing of it.
 */
export async function readDockerConfig(folder: string | undefined): Promise<DockerConfig> {
  if (folder === undefined) {
    return NO_CREDENTIALS;
  }
  const path = join(folder, 'config.json');
  let text: string;
  try {
    text = await readSmallFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'error';
    if (code === 'ENOENT') {
      return NO_CREDENTIALS;
    }
    throw new UsageError(`registry credentials in ${path} cannot be read (${code}): make it a readable file`);
  }
  try {
    return parseDockerConfig(text);
  } catch (error) {
    throw new UsageError(
      `registry credentials in ${path} cannot be used: ${(error as Error).message}; ` +
        'write the file with `docker login`, or `kubectl create secret docker-registry`',
    );
  }
}
