import { join } from 'node:path';

import type { Clock } from '../../clock.ts';
import { UsageError, type RegistrySide } from '../../errors.ts';
import type { Reference } from '../../images/reference.ts';
import { keepNewest } from '../../keep-newest.ts';
import { readSmallFile } from '../../small-file.ts';
import { fetchHelperAnswer, type HelperAnswer } from './credential-helper.ts';
import type { Credential } from './credentials.ts';
import { type CredentialPlace, findCredential, findProblem, findWritten } from './find-credential.ts';
import { type DockerConfig, NO_CREDENTIALS, parseDockerConfig } from './docker-config.ts';

export interface FoundCredential {
  /** To be shown to the registry; undefined: be anonymous there. */
  readonly credential: Credential | undefined;
  /** Why there is none although one is meant to be; a clause that quotes no secret. */
  readonly problem?: string;
}

export type FindCredential = (
  reference: Reference,
  side: RegistrySide,
  signal: AbortSignal,
) => Promise<FoundCredential>;

export interface CredentialFinderOptions {
  /** Folder of `config.json`; undefined: no credentials. */
  readonly folder: string | undefined;
  /** For helper programs, which find their cloud identity in it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** Told once of everything in the file that cannot be used, and again when it comes back. */
  readonly onProblem?: (problem: string) => void;
  readonly helperTimeoutMs?: number;
}

const HELPER_TIMEOUT_MS = 30_000;
/** A helper's answer is good for a burst of look-ups; cloud tokens live much longer. */
const KEEP_HELPER_ANSWER_MS = 60_000;
/** A cluster has tens of registries; anybody may name more. */
const MOST_ANSWERS = 1_000;

type HelperPlace = Pick<CredentialPlace & { readonly kind: 'helper' }, 'helper' | 'server'>;
type Asker = readonly [side: RegistrySide, signal: AbortSignal];

/**
 * The file is read for every call, because a mounted Secret changes without notice. Where it names a helper that cannot be
 * run, as files from a desktop do, the registry is asked anonymously: that of a public image needs no login.
 */
export function createCredentialFinder(options: CredentialFinderOptions): FindCredential {
  const ask = createHelperMemory(options);
  const tellEntries = createTeller(options.onProblem);
  const tellHelpers = createTeller(options.onProblem);
  const missing = new Map<string, string>();

  async function askHelper({ helper, server }: HelperPlace, ...who: Asker): Promise<FoundCredential> {
    const answer = await ask({ helper, server }, ...who);
    missing.delete(helper);
    if (answer.is === 'no program') {
      missing.set(helper, answer.problem);
    }
    tellHelpers([...missing.values()]);
    return answer.is === 'credential'
      ? { credential: answer.credential }
      : { credential: undefined, problem: answer.problem };
  }

  return async (reference, side, signal) => {
    const config = await readDockerConfig(options.folder);
    tellEntries(config.unusable.map(({ problem }) => problem));
    const place = findCredential(config, reference);
    const found = place?.kind === 'helper' ? await askHelper(place, side, signal) : undefined;
    if (found?.credential) {
      return found;
    }
    // What a helper has nothing for may be written there all the same: the kubelet reads nothing else.
    const written = findWritten(config, reference);
    const problem = written ? undefined : (findProblem(config, reference) ?? found?.problem);
    return { credential: written, ...(problem !== undefined && { problem }) };
  };
}

/** Tells what was not there the last time. */
function createTeller(tell: (problem: string) => void = () => {}): (problems: readonly string[]) => void {
  let before: readonly string[] = [];
  return (problems) => {
    const news = problems.filter((problem) => !before.includes(problem));
    before = problems;
    for (const problem of news) {
      tell(problem);
    }
  };
}

/** Asks a helper program, or remembers what it said. */
function createHelperMemory(
  options: CredentialFinderOptions,
): (place: HelperPlace, ...who: Asker) => Promise<HelperAnswer> {
  const { clock, environment, helperTimeoutMs: timeoutMs = HELPER_TIMEOUT_MS } = options;
  const answers = new Map<string, { readonly answer: HelperAnswer; readonly untilMs: number }>();
  return async ({ helper, server }, side, signal) => {
    const key = `${helper} ${server}`;
    const known = answers.get(key);
    if (known && clock.monotonicMs() < known.untilMs) {
      return known.answer;
    }
    const answer = await fetchHelperAnswer({ helper, server, side, environment, timeoutMs, signal });
    keepNewest(
      answers,
      [key, { answer, untilMs: clock.monotonicMs() + KEEP_HELPER_ANSWER_MS }],
      MOST_ANSWERS,
    );
    return answer;
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
