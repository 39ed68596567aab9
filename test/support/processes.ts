import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, closeSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WatchdogOrder } from './watchdog.ts';
import { waitFor } from './wait-for.ts';

export interface Program {
  /** Also names the log file. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  readonly workingFolder?: string;
  /** Runs as this user and group; only root can do that. */
  readonly userId?: number;
  /** The program counts as started once this is true; without it, at once. */
  readonly isReady?: () => Promise<boolean>;
  readonly readyDeadlineMs?: number;
  /** How long it may take to end on SIGTERM, before SIGKILL. */
  readonly graceMs?: number;
}

/** A program that can be stopped and started again with the same arguments; its log file goes on. */
export interface RunningProgram {
  readonly name: string;
  readonly logFile: string;
  /** Undefined while it is stopped. */
  readonly pid: number | undefined;
  /** Settles when the process ends: its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  start(): Promise<void>;
  /** SIGTERM, and after the grace SIGKILL for all its children as well. Returns when it has ended. */
  stop(): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  log(): Promise<string>;
}

/**
 * Everything that one process has started, with one temporary folder for all of it.
 *
 * A process that ends in any other way than through `close()` leaves no orphan either: the watchdog does the same for
 * it. That is why nothing here listens to signals or to `exit`.
 */
export interface Processes {
  readonly folder: string;
  /**
   * Returns when the program is ready.
   *
   * @throws {Error} with the end of its log, when it ends or stays silent instead.
   */
  run(program: Program): Promise<RunningProgram>;
  /** A new folder inside the temporary one. */
  createFolder(name: string): Promise<string>;
  /** A control group that its programs are going to make; removed at the end. */
  ownCgroup(name: string): void;
  /** Stops everything, the last started first, and removes the folder. */
  close(): Promise<void>;
}

export function createProcesses(): Processes {
  const folder = mkdtempSync(join(tmpdir(), 'backup-image-registry-'));
  const watchdog = startWatchdog();
  watchdog.tell({ folder });
  const programs: SupervisedProgram[] = [];
  return {
    folder,
    async run(program) {
      const supervised = new SupervisedProgram(program, folder, watchdog);
      programs.push(supervised);
      await supervised.start();
      return supervised;
    },
    async createFolder(name) {
      await mkdir(join(folder, name), { recursive: true });
      return join(folder, name);
    },
    ownCgroup: (cgroup) => watchdog.tell({ cgroup }),
    async close() {
      for (const program of programs.toReversed()) {
        await program.stop();
      }
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
      await watchdog.end();
    },
  };
}

interface Watchdog {
  tell(order: WatchdogOrder): void;
  end(): Promise<void>;
}

function startWatchdog(): Watchdog {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'watchdog.ts')], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: {},
  });
  // It alone is no reason for this process to stay alive.
  child.unref();
  return {
    tell: (order) => child.stdin.write(`${JSON.stringify(order)}\n`),
    end: async () => {
      const exited = once(child, 'exit');
      child.ref();
      child.stdin.end();
      await exited;
    },
  };
}

const DEFAULT_GRACE_MS = 5_000;
const DEFAULT_READY_MS = 60_000;
const LOG_TAIL_LINES = 20;

class SupervisedProgram implements RunningProgram {
  readonly name: string;
  readonly logFile: string;
  ended: Promise<number | NodeJS.Signals> = Promise.resolve(0);
  private child: ChildProcess | undefined;
  private readonly program: Program;
  private readonly watchdog: Watchdog;

  constructor(program: Program, folder: string, watchdog: Watchdog) {
    this.name = program.name;
    this.program = program;
    this.watchdog = watchdog;
    this.logFile = join(folder, `${program.name}.log`);
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  async start(): Promise<void> {
    if (this.child) {
      return;
    }
    const log = openSync(this.logFile, 'a', 0o600);
    const { command, args, environment, workingFolder, userId } = this.program;
    const child = spawn(command, args, {
      // A process group of its own: Ctrl-C must not reach it before us, and its children can be ended with it.
      detached: true,
      stdio: ['ignore', log, log],
      env: environment ?? process.env,
      cwd: workingFolder,
      ...(userId !== undefined && { uid: userId, gid: userId }),
    });
    closeSync(log);
    this.child = child;
    this.ended = this.watchEnd(child);
    await this.becomeReady();
  }

  async stop(): Promise<void> {
    const pid = this.child?.pid;
    if (pid === undefined) {
      return;
    }
    this.kill('SIGTERM');
    const tooLate = setTimeout(() => killGroup(pid), this.program.graceMs ?? DEFAULT_GRACE_MS);
    await this.ended;
    clearTimeout(tooLate);
  }

  kill(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  async log(): Promise<string> {
    return readFile(this.logFile, 'utf8');
  }

  private async watchEnd(child: ChildProcess): Promise<number | NodeJS.Signals> {
    const { pid } = child;
    if (pid !== undefined) {
      this.watchdog.tell({ started: pid });
    }
    return new Promise((resolve) => {
      const settle = (outcome: number | NodeJS.Signals): void => {
        this.child = undefined;
        if (pid !== undefined) {
          this.watchdog.tell({ ended: pid });
        }
        resolve(outcome);
      };
      child.once('exit', (code, signal) => settle(code ?? signal ?? 0));
      child.once('error', () => settle(127));
    });
  }

  private async becomeReady(): Promise<void> {
    const { isReady, readyDeadlineMs = DEFAULT_READY_MS } = this.program;
    const giveUp = new AbortController();
    void this.ended.then((outcome) => giveUp.abort(new Error(`it ended with ${outcome}`)));
    try {
      await waitFor(isReady ?? (() => true), {
        what: 'it to become ready',
        deadlineMs: readyDeadlineMs,
        signal: giveUp.signal,
      });
    } catch (error) {
      const why: unknown = giveUp.signal.aborted ? giveUp.signal.reason : error;
      await this.stop();
      const tail = (await this.log()).trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
      const message = `${this.name} did not start: ${why instanceof Error ? why.message : String(why)}`;
      throw new Error(`${message}. Its log ends with:\n${tail}`, { cause: error });
    }
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
