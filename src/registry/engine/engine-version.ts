import { UsageError } from '../../errors.ts';
import { runProgram } from '../programs/run-program.ts';

/** Older ones send credentials along when a registry redirects them to another host. */
const OLDEST = [0, 11, 5] as const;
const DEADLINE_MS = 10_000;

function isOlder(version: readonly number[]): boolean {
  for (const [index, least] of OLDEST.entries()) {
    const difference = (version[index] ?? 0) - least;
    if (difference !== 0) {
      return difference < 0;
    }
  }
  return false;
}

/** The version in what `regctl version` prints; undefined for a build that does not know its own. */
function parseVersion(text: string): readonly number[] | undefined {
  const match = /^(?:VCSTag|version):\s+v?(\d+)\.(\d+)\.(\d+)/im.exec(text);
  return match?.slice(1).map(Number);
}

/**
 * Looks whether the copy engine is there and new enough, so that a wrong image is noticed at the start.
 *
 * @throws {UsageError}
 */
export async function checkEngine(
  program: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const needed = OLDEST.join('.');
  let output: string;
  try {
    const { stdout } = await runProgram({
      program,
      args: ['version'],
      environment: { PATH: environment['PATH'] ?? '' },
      stdin: '',
      timeoutMs: DEADLINE_MS,
      signal: new AbortController().signal,
    });
    output = stdout;
  } catch (cause) {
    throw new UsageError(`the copy engine ${program} is not in PATH: install regctl ${needed} or newer`, {
      cause,
    });
  }
  const version = parseVersion(output);
  if (version && isOlder(version)) {
    throw new UsageError(
      `the copy engine ${program} is version ${version.join('.')}: ${needed} or newer is needed`,
    );
  }
}
