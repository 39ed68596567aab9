import { z } from 'zod';

import { RegistryError, type RegistrySide } from '../../errors.ts';
import type { Credential } from './credentials.ts';
import { hideSecrets, toPlainText } from '../../plain-text.ts';
import { runProgram, type ProgramResult } from '../programs/run-program.ts';

export interface HelperCall {
  /** Name without its prefix: `ecr-login` runs `docker-credential-ecr-login`. */
  readonly helper: string;
  /** What the helper is asked about. */
  readonly server: string;
  readonly side: RegistrySide;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const ANSWER = z.object({ Username: z.string(), Secret: z.string() });
/** What helpers say, by convention of their library, when they have nothing for a registry. */
const NOTHING_STORED = /credentials not found/i;
/** User name by which a helper says that its secret is a refresh token. */
const TOKEN_USER = '<token>';

/** A problem is a clause that says what to do. */
export type HelperAnswer =
  | { readonly is: 'credential'; readonly credential: Credential }
  /** So some say of every failure, too: that of Amazon does. */
  | { readonly is: 'nothing'; readonly problem: string }
  | { readonly is: 'no program'; readonly problem: string };

/**
 * Asks a Docker credential helper (`docker-credential-<helper> get`, registry on stdin, JSON on stdout) for the
 * credential of a registry.
 *
 * @throws {RegistryError} when it fails, or cannot be started now: most helpers talk to a cloud's token service, which can be down for a while.
 */
export async function fetchHelperAnswer(call: HelperCall): Promise<HelperAnswer> {
  const program = `docker-credential-${call.helper}`;
  if (!/^[\w.-]+$/.test(call.helper)) {
    const problem =
      'config.json names a credential helper that cannot be the name of a program: write what follows docker-credential-';
    return { is: 'no program', problem };
  }
  const result = await start(program, call);
  if (typeof result === 'string') {
    return {
      is: 'no program',
      problem: `credential helper ${program}, named in config.json, ${result}, or write the credential into config.json`,
    };
  }
  if (result.stopped === 'abort') {
    call.signal.throwIfAborted();
  }
  if (result.stopped) {
    const message = `credential helper ${program} gave no answer for ${call.server} in ${call.timeoutMs} ms`;
    throw new RegistryError(message, { reason: 'Timeout', side: call.side });
  }
  if (result.exitCode !== 0) {
    return readRefusal(program, call, result);
  }
  return readAnswer(program, call, result.stdout);
}

/** What there is cannot be run. Of other failures, as when there is no memory, the next try may know nothing. */
const NO_PROGRAM: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'ENOEXEC', 'ENOTDIR', 'ELOOP']);

/** Why it cannot be run: a clause. */
async function start(program: string, call: HelperCall): Promise<ProgramResult | string> {
  try {
    return await runProgram({
      program,
      args: ['get'],
      environment: call.environment,
      stdin: call.server,
      timeoutMs: call.timeoutMs,
      signal: call.signal,
    });
  } catch (error) {
    call.signal.throwIfAborted();
    const code = (error as NodeJS.ErrnoException).code ?? 'error';
    if (code === 'ENOENT') {
      return 'is not there: put it into the image, in a folder of PATH';
    }
    if (NO_PROGRAM.has(code)) {
      return `cannot be started (${code}): make it a program that may be executed`;
    }
    const message = `credential helper ${program} could not be started (${code})`;
    throw new RegistryError(message, { reason: 'RegistryUnavailable', side: call.side });
  }
}

function readRefusal(program: string, call: HelperCall, { exitCode, stdout }: ProgramResult): HelperAnswer {
  if (NOTHING_STORED.test(stdout)) {
    const problem = `credential helper ${program} says that it has no credentials for ${call.server}`;
    return { is: 'nothing', problem };
  }
  // Helpers write the reason of a failure to stdout, where the secret would be.
  const said = stdout.includes('"Secret"')
    ? ''
    : toPlainText(hideSecrets(stdout, listEnvironmentSecrets(call.environment)));
  const message = `credential helper ${program} failed for ${call.server} with exit code ${exitCode}${said && `: ${said}`}`;
  throw new RegistryError(message, { reason: 'RegistryUnavailable', side: call.side });
}

/** What helpers log in to a cloud with, by what such variables are called; paths of files are no secrets. */
function listEnvironmentSecrets(environment: HelperCall['environment']): readonly string[] {
  return Object.entries(environment)
    .filter(([name, value]) => /secret|token|passw|key/i.test(name) && /^[^/].{7}/.test(value))
    .map(([, value]) => value);
}

function readAnswer(program: string, call: HelperCall, stdout: string): HelperAnswer {
  let answer: z.infer<typeof ANSWER>;
  try {
    answer = ANSWER.parse(JSON.parse(stdout));
  } catch {
    const message = `credential helper ${program} gave an answer for ${call.server} that is not {"Username", "Secret"}`;
    throw new RegistryError(message, { reason: 'Unknown', side: call.side });
  }
  if (answer.Username === TOKEN_USER) {
    return { is: 'credential', credential: { kind: 'identityToken', token: answer.Secret } };
  }
  const { Username: username, Secret: password } = answer;
  return { is: 'credential', credential: { kind: 'password', username, password } };
}
