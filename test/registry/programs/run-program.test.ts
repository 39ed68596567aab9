import { readFile, open } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import {
  runProgram,
  type ProgramResult,
  type ProgramRun,
} from '../../../src/registry/programs/run-program.ts';
import { waitFor } from '../../support/wait-for.ts';
import { createTemporaryFolder, writeScript } from '../temporary-folder.ts';

async function run(script: readonly string[], options: Partial<ProgramRun> = {}): Promise<ProgramResult> {
  const program = await writeScript(await createTemporaryFolder(), 'program', script);
  return runProgram({
    program,
    args: [],
    environment: {},
    stdin: '',
    timeoutMs: 10_000,
    signal: new AbortController().signal,
    ...options,
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it(
  'gives arguments, input and environment to a program, and nothing else',
  { tags: 'attack-secret' },
  async () => {
    process.env['SECRET_OF_OURS'] = 's3cret';
    const { exitCode, stdout, stopped } = await run(
      ['cat', 'printf "|%s" "$@"', 'echo "|$GIVEN|$SECRET_OF_OURS|$HOME|$PWD"', 'exit 3'],
      { args: ['-x', 'a b; echo c'], stdin: 'in', environment: { GIVEN: 'g', PATH: '/bin:/usr/bin' } },
    );
    delete process.env['SECRET_OF_OURS'];
    expect({ exitCode, stdout, stopped }).toEqual({
      exitCode: 3,
      stdout: 'in|-x|a b; echo c|g|||/\n',
      stopped: undefined,
    });
  },
);

it('hands over an open file as input', async () => {
  const path = join(await createTemporaryFolder(), 'file');
  const file = await open(path, 'wx+', 0o600);
  await file.write('content', 0);
  const { stdout } = await run(['cat /dev/stdin'], {
    stdin: file.fd,
    environment: { PATH: '/bin:/usr/bin' },
  });
  await file.close();
  expect(stdout).toBe('content');
});

it('hands out lines of stderr as they come', async () => {
  const lines: string[] = [];
  await run(['printf "one\\ntw" >&2', 'printf "o\\nthree" >&2'], {
    onErrorLine: (line) => void lines.push(line),
  });
  expect(lines).toEqual(['one', 'two', 'three']);
});

it('keeps a flood within bounds', { tags: 'attack-size' }, async () => {
  let longest = 0;
  const { stdout, exitCode } = await run(
    ['head -c 3000000 /dev/zero | tr "\\0" x', 'head -c 3000000 /dev/zero | tr "\\0" y >&2'],
    {
      environment: { PATH: '/bin:/usr/bin' },
      onErrorLine: (line) => void (longest = Math.max(longest, line.length)),
    },
  );
  expect(exitCode).toBe(0);
  expect(stdout.length).toBe(64 * 1024);
  expect(longest).toBe(128 * 1024);
});

it('says when a program cannot be started', async () => {
  await expect(run([], { program: '/no/such/program' })).rejects.toMatchObject({ code: 'ENOENT' });
});

it('starts nothing when it is no longer wanted', async () => {
  const started = run(['exit 0'], { signal: AbortSignal.abort(new Error('not wanted')) });
  await expect(started).rejects.toThrow('not wanted');
});

describe('stopping', () => {
  const FOREVER = ['echo ready >&2', 'while :; do sleep 0.05; done'];
  const PATH = { PATH: '/bin:/usr/bin' };

  it('ends a program at its deadline', async () => {
    const result = await run(FOREVER, { environment: PATH, timeoutMs: 100 });
    expect(result).toMatchObject({ exitCode: null, stopped: 'timeout' });
  });

  it('ends a program that is no longer wanted', async () => {
    const controller = new AbortController();
    const result = await run(FOREVER, {
      environment: PATH,
      signal: controller.signal,
      onErrorLine: () => {
        controller.abort();
        return undefined;
      },
    });
    expect(result).toMatchObject({ exitCode: null, stopped: 'abort' });
  });

  it('ends a program for what it said', async () => {
    const onErrorLine = (line: string): 'stop' | undefined => (line === 'ready' ? 'stop' : undefined);
    expect(await run(FOREVER, { environment: PATH, onErrorLine })).toMatchObject({ stopped: 'stop' });
  });

  it('takes an exit code of its own for one', async () => {
    const script = ['trap "exit 7" TERM', ...FOREVER];
    const onErrorLine = (): 'stop' => 'stop';
    expect(await run(script, { environment: PATH, onErrorLine })).toMatchObject({
      exitCode: 7,
      stopped: 'stop',
    });
  });

  it('kills a program that will not end, and what it started', { tags: 'attack-registry' }, async () => {
    const folder = await createTemporaryFolder();
    const pidFile = join(folder, 'child.pid');
    const script = [
      'trap "" TERM',
      `(trap "" TERM; while :; do sleep 0.05; done) & echo $! > ${pidFile}`,
      'echo ready >&2',
      'while :; do sleep 0.05; done',
    ];
    const onErrorLine = (): 'stop' => 'stop';
    const result = await run(script, { environment: PATH, onErrorLine, killAfterMs: 100 });
    expect(result).toMatchObject({ exitCode: null, stopped: 'stop' });
    const child = Number(await readFile(pidFile, 'utf8'));
    await waitFor(() => !isAlive(child), { what: 'the child to be gone' });
  });

  it('does not wait for pipes that somebody else keeps open', async () => {
    const startedAtMs = performance.now();
    const result = await run(['setsid sleep 5 &', 'exit 0'], { environment: PATH });
    expect(result.exitCode).toBe(0);
    expect(performance.now() - startedAtMs).toBeLessThan(4_000);
  });
});
