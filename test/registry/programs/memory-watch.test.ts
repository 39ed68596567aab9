import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { runProgram } from '../../../src/registry/programs/run-program.ts';

const MIB = 1024 * 1024;

function run(script: string, mostMemoryBytes: number) {
  return runProgram({
    program: process.execPath,
    args: ['--expose-gc', '--eval', script],
    environment: {},
    stdin: '',
    timeoutMs: 60_000,
    signal: new AbortController().signal,
    mostMemoryBytes,
  });
}

it(
  'a program that takes too much memory is ended at once, and it is known how much',
  { tags: 'attack-image' },
  async () => {
    const grow =
      'process.on("SIGTERM", () => {}); Buffer.alloc(200 * 1024 * 1024, 1); setInterval(() => {}, 1000)';
    const { stopped, exitCode, memoryBytes = 0 } = await run(grow, 150 * MIB);
    expect([stopped, exitCode]).toEqual(['memory', null]);
    expect(memoryBytes).toBeGreaterThan(150 * MIB);
  },
);

it('a program that was too large for a moment only is ended as well', async () => {
  const peak =
    'let all = Buffer.alloc(200 * 1024 * 1024, 1); all = undefined; gc(); setInterval(() => {}, 1000)';
  const { stopped } = await run(peak, 150 * MIB);
  expect(stopped).toBe('memory');
});

it('a program that keeps within its bound ends by itself', async () => {
  // Of this process, and so of any Node: what a bare one takes is well below.
  const own = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
  const result = await run('setTimeout(() => console.log("done"), 200)', 2 * own);
  expect(result).toEqual({ stopped: undefined, exitCode: 0, stdout: 'done\n' });
});
