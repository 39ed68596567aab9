import { CommanderError } from 'commander';

import packageJson from '../package.json' with { type: 'json' };
import { createProgram } from './cli/program.ts';
import { createTerminal } from './cli/terminal.ts';
import { ControllerError, UsageError } from './errors.ts';

const USAGE_EXIT_CODE = 2;

/** Aborts at the first SIGTERM or SIGINT; the second ends the process at once. */
function createStopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) {
        process.exit(1);
      }
      stop.abort();
    });
  }
  return stop.signal;
}

/**
 * Node resolves names in threads, half of which may do so at a time: of its usual four, two names whose servers do not answer
 * take all. Half of these are more than the passes over copies that one namespace gets with a COPY_CONCURRENCY of 20; all cost
 * 1 MiB.
 */
const THREADS = '128';

async function main(): Promise<number> {
  // Read when the first thread is needed.
  process.env['UV_THREADPOOL_SIZE'] ??= THREADS;
  let exitCode = 0;
  const program = createProgram({
    environment: process.env,
    version: packageJson.version,
    terminal: createTerminal(process),
    createStopSignal,
    onDone: (code) => {
      exitCode = code;
    },
  });
  await program.parseAsync();
  return exitCode;
}

/** Undefined for a bug, which needs its stack. */
function findExitCode(error: unknown): number | undefined {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? 0 : USAGE_EXIT_CODE;
  }
  if (error instanceof ControllerError) {
    process.stderr.write(`${error.message}\n`);
    return error instanceof UsageError ? USAGE_EXIT_CODE : 1;
  }
  // Whoever reads the output has seen enough, as `head` has.
  return error instanceof Error && 'code' in error && error.code === 'EPIPE' ? 0 : undefined;
}

try {
  process.exitCode = await main();
  process.exit();
} catch (error) {
  const exitCode = findExitCode(error);
  if (exitCode === undefined) {
    throw error;
  }
  process.exit(exitCode);
}
