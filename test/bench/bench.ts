/**
 * Measures how fast images are backed up, as ratios and counts, on real registries and with the real regctl.
 *
 * `--only a|b|c|layers|memory|limits|cluster|scale` measures one part (may be repeated), `--pairs 9` compares more runs, `--save` keeps the table
 * in docs/bench.md. Fails when a count is not what it has to be; times are told and not judged, for they are the
 * machine's as well.
 */
import { readFile, statfs, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { createProcesses } from '../support/processes.ts';
import { ensureTools } from '../tools/build.ts';
import { measureCluster } from './cluster/cluster.ts';
import { measureFirstCopies } from './first-copies.ts';
import { measureKnownCopies, measureRepeatedCopies } from './known-copies.ts';
import type { Laboratory } from './laboratory.ts';
import { measureLayers } from './layers.ts';
import { measureLimits } from './limits.ts';
import { measureMemory } from './memory.ts';
import { measureScale } from './scale/scale.ts';
import { type Finding, formatTable, isFailed, type Part, PARTS } from './report.ts';

const MEASURES: Readonly<Record<Part, (lab: Laboratory) => Promise<readonly Finding[]>>> = {
  a: measureFirstCopies,
  b: measureRepeatedCopies,
  c: measureKnownCopies,
  layers: measureLayers,
  memory: measureMemory,
  limits: measureLimits,
  cluster: measureCluster,
  scale: measureScale,
};

const PAGE = join(import.meta.dirname, '../../docs/bench.md');

interface Options {
  readonly parts: readonly Part[];
  readonly pairs: number;
  readonly isSaved: boolean;
}

/** @throws {Error} for anything else than what the head of this file lists. */
function parseOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      pairs: { type: 'string', default: '5' },
      save: { type: 'boolean', default: false },
    },
  });
  const unknown = values.only.find((name) => !PARTS.some((part) => part === name));
  if (unknown !== undefined) {
    throw new Error(`--only ${unknown}: there are only ${PARTS.join(', ')}`);
  }
  if (!/^[1-9]\d?$/.test(values.pairs)) {
    throw new Error('--pairs must be a number from 1 to 99');
  }
  const parts = values.only.length === 0 ? PARTS : PARTS.filter((part) => values.only.includes(part));
  return { parts, pairs: Number(values.pairs), isSaved: values.save };
}

/** Where Linux keeps files in memory. */
const MEMORY_FOLDER = '/dev/shm';
const NEEDED_BYTES = 2 * 1024 ** 3;

/**
 * The data of the registries goes into memory if there is room for it: a disk that is still busy with the last run
 * slows the next one down, and by more than what is to be measured.
 */
async function preferMemory(): Promise<void> {
  const space = await statfs(MEMORY_FOLDER).catch(() => undefined);
  if (!process.env['TMPDIR'] && space && space.bavail * space.bsize >= NEEDED_BYTES) {
    process.env['TMPDIR'] = MEMORY_FOLDER;
  }
}

async function measure({ parts, pairs }: Options): Promise<readonly Finding[]> {
  const tools = await ensureTools();
  await preferMemory();
  const processes = createProcesses();
  const say = (text: string): void => console.error(text);
  try {
    const findings: Finding[] = [];
    for (const part of parts) {
      findings.push(...(await MEASURES[part]({ tools, processes, pairs, say })));
    }
    return findings;
  } finally {
    await processes.close();
  }
}

async function save(results: string): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const between = /(<!-- results -->\n).*(\n<!-- end of results -->)/s;
  await writeFile(
    PAGE,
    page.replace(between, (_, start: string, end: string) => `${start}\n${results}\n${end}`),
  );
}

/** Whoever shares the machine falsifies the times: the load says whether somebody did. */
function describeRun(startedAtMs: number, loadBefore: number): string {
  const seconds = Math.round((performance.now() - startedAtMs) / 1000);
  return `Measured in ${seconds} s on ${availableParallelism()} cores; load average before it: ${loadBefore.toFixed(1)}.`;
}

const options = parseOptions();
const startedAtMs = performance.now();
const [loadBefore = 0] = loadavg();
const findings = await measure(options);
const results = `${formatTable(findings)}\n\n${describeRun(startedAtMs, loadBefore)}`;
console.log(`\n${results}`);
if (options.isSaved) {
  await save(results);
}
if (findings.some(isFailed)) {
  console.error('A count is not what it has to be.');
  process.exitCode = 1;
}
