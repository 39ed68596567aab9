import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Progress } from './progress.ts';

const run = promisify(execFile);

const OLDEST_GO = [1, 26] as const;

/** The caller's environment less what would change the outcome; GOGC trades memory for a shorter build. */
function goEnvironment(): NodeJS.ProcessEnv {
  const { GOOS: _os, GOARCH: _arch, ...rest } = process.env;
  return { ...rest, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off', GOGC: process.env['GOGC'] ?? '400' };
}

/**
 * The Go version that will build in this folder, such as `go1.26.8`.
 *
 * @throws {Error} with what to do when there is no Go, or too old a one.
 */
export async function findGo(folder: string): Promise<string> {
  const wanted = `Go ${OLDEST_GO.join('.')} or newer is needed to build the test tools (https://go.dev/dl/)`;
  const found = await run('go', ['env', 'GOVERSION'], { cwd: folder, env: goEnvironment() }).catch(
    (error: unknown) => {
      const { code, stderr } = error as { code?: string | number; stderr?: string };
      const reason = code === 'ENOENT' ? 'there is no "go" in PATH' : `"go env" failed: ${stderr?.trim()}`;
      throw new Error(`${wanted}; ${reason}.`, { cause: error });
    },
  );
  const version = found.stdout.trim();
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
  const isOld = major && (Number(major) - OLDEST_GO[0] || Number(minor) - OLDEST_GO[1]) < 0;
  if (isOld) {
    throw new Error(`${wanted}; this machine has ${version}.`);
  }
  return version;
}

export interface GoBuild {
  readonly folder: string;
  readonly flags: readonly string[];
  readonly packages: readonly string[];
  /** Folder that the programs are written to, each named as Go names it. */
  readonly output: string;
}

/** @throws {Error} with what Go said, when the build fails. */
export async function buildWithGo(build: GoBuild, progress: Progress): Promise<void> {
  const total = await countPackagesToCompile(build, progress);
  const startedAtMs = Date.now();
  let compiled = 0;
  const show = (): void => {
    const what = compiled < total ? `compiling ${compiled} of ${total} packages` : 'linking';
    progress.show(`  ${what} (${seconds(startedAtMs)})`);
  };
  const ticking = setInterval(show, 1_000);
  try {
    await runGo(build, ['build', '-v', ...build.flags, '-o', `${build.output}/`, ...build.packages], {
      // With -v, Go names each package on standard error as it starts to compile it.
      onErrorLine: (line) => {
        compiled += /^\S+$/.test(line) ? 1 : 0;
      },
      onLine: () => undefined,
    });
  } finally {
    clearInterval(ticking);
  }
}

export function seconds(sinceMs: number): string {
  return `${Math.round((Date.now() - sinceMs) / 1_000)} s`;
}

/** Also downloads what is not on this machine yet. What Go's own build cache holds needs no compiling. */
async function countPackagesToCompile(build: GoBuild, progress: Progress): Promise<number> {
  const IN_CACHE = 'available in build cache';
  const format = '{{if .Stale}}{{.ImportPath}} {{.StaleReason}}{{end}}';
  let total = 0;
  let downloads = 0;
  progress.show('  looking at what there is to compile');
  await runGo(build, ['list', '-deps', ...build.flags, '-f', format, ...build.packages], {
    onLine: (line) => {
      total += line.includes(IN_CACHE) ? 0 : 1;
    },
    onErrorLine: (line) => {
      if (line.startsWith('go: downloading ')) {
        downloads += 1;
        progress.show(`  downloading module ${downloads}: ${line.slice('go: downloading '.length)}`);
      }
    },
  });
  return total;
}

interface LineHandlers {
  onLine(line: string): void;
  onErrorLine(line: string): void;
}

async function runGo(build: GoBuild, args: readonly string[], handlers: LineHandlers): Promise<void> {
  const go = spawn('go', args, {
    cwd: build.folder,
    env: goEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said: string[] = [];
  createInterface(go.stdout).on('line', (line) => handlers.onLine(line));
  createInterface(go.stderr).on('line', (line) => {
    said.push(line);
    handlers.onErrorLine(line);
  });
  const code = await withInterrupt(
    () => go.kill(),
    async () =>
      new Promise((resolve, reject) => {
        go.once('error', reject);
        go.once('close', resolve);
      }),
  );
  if (code !== 0) {
    throw new Error(`"go ${args[0]}" failed in ${build.folder}:\n${said.slice(-20).join('\n')}`);
  }
}

/** While the work lasts, Ctrl-C and SIGTERM interrupt it instead of ending this process: Go would go on building alone. */
async function withInterrupt<T>(interrupt: () => void, work: () => Promise<T>): Promise<T> {
  let wasInterrupted = false;
  const onSignal = (): void => {
    wasInterrupted = true;
    interrupt();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    const outcome = await work();
    if (wasInterrupted) {
      throw new Error('Interrupted. What was compiled so far is kept by Go.');
    }
    return outcome;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
