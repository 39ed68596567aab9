import { spawn, type ChildProcess } from 'node:child_process';

import { LONGEST_TIMER_MS } from '../../clock.ts';
import { createLineSplitter } from './line-splitter.ts';
import type { MemoryBudget, MemoryExcess } from './memory-budget.ts';
import { waitForEnd } from './program-end.ts';

export interface ProgramRun {
  /** A path, or a name looked up in PATH of `environment`. */
  readonly program: string;
  readonly args: readonly string[];
  /** All the program gets to see; nothing of our own environment is added. */
  readonly environment: Readonly<Record<string, string>>;
  /** An open file, or text for a pipe. */
  readonly stdin: number | string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** It is ended at once when it takes too much memory, alone or with others of its group. */
  readonly memory?: { readonly budget: MemoryBudget; readonly group: string };
  /** Called for every line of stderr; `stop` ends the program early. */
  readonly onErrorLine?: (line: string) => 'stop' | undefined;
  /** From asking a program to end until it is ended. */
  readonly killAfterMs?: number;
}

export interface ProgramResult {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  /** Why it was stopped before it ended by itself. */
  readonly stopped: 'timeout' | 'abort' | 'stop' | 'memory' | undefined;
  /** How it took too much memory. */
  readonly memoryExcess?: MemoryExcess;
}

const LONGEST_STDOUT = 64 * 1024;
const KILL_AFTER_MS = 10_000;
/** What the kernel may take to end a process that was killed. */
const GIVE_UP_AFTER_MS = 5_000;

/** When we end without waiting for them, they end with us: being in groups of their own, nobody else would end them. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) {
    killGroup(child, 'SIGKILL');
  }
});

/**
 * Runs a program without a shell and waits until it is gone, which is at most `killAfterMs` after it was stopped; one
 * that does not end when it is killed either is left behind a few seconds later. Programs lead a process group of their
 * own: stopping one stops what it started too, and a signal from a terminal reaches only us.
 *
 * @throws {Error} of Node when the program cannot be started.
 */
export async function runProgram(run: ProgramRun): Promise<ProgramResult> {
  run.signal.throwIfAborted();
  const child = spawn(run.program, [...run.args], {
    cwd: '/',
    detached: true,
    env: { ...run.environment },
    shell: false,
    stdio: [typeof run.stdin === 'number' ? run.stdin : 'pipe', 'pipe', 'pipe'],
  });
  if (child.pid !== undefined) {
    running.add(child);
    child.once('exit', () => running.delete(child));
  }
  let stopped: ProgramResult['stopped'];
  const givenUp = new AbortController();
  let killTimer: NodeJS.Timeout | undefined;
  const stop = (why: NonNullable<typeof stopped>): void => {
    if (stopped) {
      return;
    }
    stopped = why;
    killGroup(child, 'SIGTERM');
    killTimer = setTimeout(() => {
      killGroup(child, 'SIGKILL');
      killTimer = setTimeout(() => givenUp.abort(), GIVE_UP_AFTER_MS);
    }, run.killAfterMs ?? KILL_AFTER_MS);
  };
  let memoryExcess: MemoryExcess | undefined;
  const unwatch = watchProgram(child, run.memory, (excess) => {
    memoryExcess = excess;
    stop('memory');
    // Asked politely, it would go on growing.
    killGroup(child, 'SIGKILL');
  });
  const onAbort = (): void => stop('abort');
  const deadline = setTimeout(() => stop('timeout'), Math.min(run.timeoutMs, LONGEST_TIMER_MS));
  run.signal.addEventListener('abort', onAbort, { once: true });
  try {
    const stdout = collect(child, run, () => stop('stop'));
    const exitCode = await waitForEnd(child, givenUp.signal);
    return { exitCode, stdout: stdout(), stopped, ...(memoryExcess && { memoryExcess }) };
  } finally {
    unwatch();
    clearTimeout(deadline);
    clearTimeout(killTimer);
    run.signal.removeEventListener('abort', onAbort);
  }
}

/** Wires the three pipes; returns what was written to stdout so far, cut at a limit. */
function collect(child: ChildProcess, run: ProgramRun, stop: () => void): () => string {
  let stdout = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    stdout = `${stdout}${chunk}`.slice(0, LONGEST_STDOUT);
  });
  const splitter = createLineSplitter((line) => {
    if (run.onErrorLine?.(line) === 'stop') {
      stop();
    }
  });
  child.stderr?.setEncoding('utf8').on('data', splitter.write).on('end', splitter.end);
  if (typeof run.stdin === 'string') {
    // A program that ends without reading breaks the pipe; its exit code says what there is to say.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(run.stdin);
  }
  return () => stdout;
}

function watchProgram(
  { pid }: ChildProcess,
  memory: ProgramRun['memory'],
  onExceeded: (excess: MemoryExcess) => void,
): () => void {
  return pid === undefined || !memory
    ? () => undefined
    : memory.budget.watch({ pid, group: memory.group, onExceeded });
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  // Once it was waited for, its number may already belong to another process.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
    return;
  }
  try {
    process.kill(-child.pid, signal);
  } catch {
    // Gone in this very moment.
  }
}
