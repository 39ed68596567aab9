import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import {
  MemoryBudget,
  type MemoryUse,
  findMemoryExcess,
} from '../../../src/registry/programs/memory-budget.ts';
import { runProgram } from '../../../src/registry/programs/run-program.ts';
import { waitFor } from '../../support/wait-for.ts';

const MIB = 1024 * 1024;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'memory-budget-'));
});

afterEach(() => rm(folder, { recursive: true }));

/** A script that goes on until `letEnd`, and does something at its end. */
function endsWith(last: string): string {
  const file = JSON.stringify(join(folder, 'end'));
  return `const timer = setInterval(() => { if (require('node:fs').existsSync(${file})) { clearInterval(timer); ${last}; } }, 10);`;
}

async function letEnd(): Promise<void> {
  await writeFile(join(folder, 'end'), '');
}

const alone = (aloneBytes: number) => new MemoryBudget(() => ({ aloneBytes, togetherBytes: Infinity }));

function run(script: string, memory: MemoryBudget, group = 'team') {
  return runProgram({
    program: process.execPath,
    args: ['--expose-gc', '--eval', script],
    environment: {},
    stdin: '',
    timeoutMs: 60_000,
    signal: new AbortController().signal,
    memory: { budget: memory, group },
  });
}

it(
  'a program that takes too much memory is ended at once, and it is known how much',
  { tags: 'attack-image' },
  async () => {
    const grow =
      'process.on("SIGTERM", () => {}); Buffer.alloc(200 * 1024 * 1024, 1); setInterval(() => {}, 1000)';
    const { stopped, exitCode, memoryExcess } = await run(grow, alone(150 * MIB));
    expect([stopped, exitCode]).toEqual(['memory', null]);
    expect(memoryExcess?.is).toBe('alone');
    expect(memoryExcess?.bytes).toBeGreaterThan(150 * MIB);
  },
);

it('a program that was too large for a moment only is ended as well', async () => {
  const peak =
    'let all = Buffer.alloc(200 * 1024 * 1024, 1); all = undefined; gc(); setInterval(() => {}, 1000)';
  const { stopped } = await run(peak, alone(150 * MIB));
  expect(stopped).toBe('memory');
});

it('a program that keeps within its bound ends by itself', async () => {
  // Of this process, and so of any Node: what a bare one takes is well below.
  const own = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
  let looks = 0;
  const budget = new MemoryBudget(() => {
    looks += 1;
    return { aloneBytes: 2 * own, togetherBytes: Infinity };
  });
  const ending = run(endsWith('console.log("done")'), budget);
  await waitFor(() => looks > 1, { what: 'the program to be looked at' });
  await letEnd();
  const result = await ending;
  expect(result).toEqual({ stopped: undefined, exitCode: 0, stdout: 'done\n' });
});

const LIMITS = { aloneBytes: 96, togetherBytes: 100 };

const found = (uses: Record<string, MemoryUse & { group: string }>): Record<string, string> =>
  Object.fromEntries(
    [...findMemoryExcess(new Map(Object.entries(uses)), LIMITS)].map(([name, { is }]) => [name, is]),
  );

it.each<[string, Record<string, [number, number]>, Record<string, string>]>([
  ['all keep within their bounds', { a: [50, 96], b: [50, 50] }, {}],
  ['one was too large for a moment', { a: [10, 97], b: [90, 90] }, { a: 'alone' }],
  ['they are too large together', { a: [60, 60], b: [30, 30], c: [20, 20] }, { a: 'together' }],
  [
    'they are far too large together',
    { a: [60, 60], b: [70, 70], c: [50, 50] },
    { b: 'together', a: 'together' },
  ],
  [
    'one is too large, and so are the others',
    { a: [97, 97], b: [60, 60], c: [50, 50] },
    { a: 'alone', b: 'together' },
  ],
])('ends the largest programs when %s, in one group or several', (_, uses, expected) => {
  const inGroups = (groupOf: (name: string) => string) =>
    Object.fromEntries(
      Object.entries(uses).map(([name, [bytes, peakBytes]]) => [
        name,
        { bytes, peakBytes, group: groupOf(name) },
      ]),
    );
  expect(found(inGroups(() => 'all'))).toEqual(expected);
  expect(found(inGroups((name) => name))).toEqual(expected);
});

it('ends programs of the group that takes the most, not the largest', { tags: 'attack-share' }, () => {
  const use = (group: string, bytes: number) => ({ group, bytes, peakBytes: bytes });
  const many = { a: use('evil', 30), b: use('evil', 29), c: use('evil', 28) };
  expect(found({ victim: use('good', 31), ...many })).toEqual({ a: 'together' });
  // What a group has left counts against it, not what it had.
  expect(found({ victim: use('good', 60), ...many })).toEqual({ a: 'together', victim: 'together' });
});

it(
  'of programs that take too much memory together, the largest is ended',
  { tags: 'attack-image' },
  async () => {
    const memory = new MemoryBudget(() => ({ aloneBytes: 900 * MIB, togetherBytes: 500 * MIB }));
    const grow = (mib: number): string =>
      `globalThis.all = Buffer.alloc(${mib} * 1024 * 1024, 1); ${endsWith('')}`;
    const both = [run(grow(450), memory, 'one'), run(grow(50), memory, 'other')] as const;
    const large = await both[0];
    await letEnd();
    const small = await both[1];
    expect([large.stopped, large.memoryExcess?.is]).toEqual(['memory', 'together']);
    expect([small.stopped, small.exitCode]).toEqual([undefined, 0]);
  },
);
