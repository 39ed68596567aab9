/** The tenants' soak: those who do no harm alone, then beside the hostile one, by turns. */
import { readFile } from 'node:fs/promises';

import type { Processes } from '../../support/processes.ts';
import type { Tools } from '../../tools/build.ts';
import {
  checkBlocks,
  checkShares,
  findMedian,
  type Finding,
  type Invariant,
  readShares,
  type Shares,
  toMib,
} from './checks.ts';
import { ControllerWatch } from './controller-watch.ts';
import type { ActName } from './hostile-acts.ts';
import type { Block } from './loop-probe.ts';
import { Neighbours } from './neighbours.ts';
import { type Act, type Stage, startStage } from './stage.ts';

/** In pairs, until the time is over: the first is the measure of the second. */
const ALONE_MS = 15_000;
const BESIDE_MS = 40_000;
/** For what is on its way at the end of a phase. */
const SETTLE_MS = 15_000;
const SHOWN_ACTS = 6;

/** Something that may not be, with what the hostile tenant did before it. */
export interface Wrong {
  readonly invariant: Invariant;
  readonly sentence: string;
}

export interface TenantsReport {
  readonly wrong: readonly Wrong[];
  /** What was measured, in sentences. */
  readonly figures: readonly string[];
}

export interface TenantsOptions {
  readonly tools: Tools;
  readonly processes: Processes;
  readonly seed: number;
  readonly ms: number;
  readonly only?: readonly ActName[];
  say(text: string): void;
}

export async function runTenants(options: TenantsOptions): Promise<TenantsReport> {
  const { tools, processes, seed, ms, only = [], say } = options;
  const acts: Act[] = [];
  const findings: Finding[] = [];
  const onFinding = (finding: Finding): void => {
    // What is seen again and again is told once.
    if (findings.some(({ what }) => what === finding.what)) {
      return;
    }
    findings.push(finding);
    say(`tenants: WRONG: ${describe(finding, acts)}`);
  };
  const onAct = (act: Act): void => {
    acts.push(act);
    say(`tenants: ${act.act}`);
  };
  const stage = await startStage({ tools, processes, seed, only, onAct });
  const over = new AbortController();
  // Nothing is to be learnt from a controller that has ended.
  void stage.controller.program.ended.then(() => over.abort());
  const neighbours = new Neighbours(stage, { signal: over.signal, onFinding });
  const watch = new ControllerWatch(stage, onFinding);
  try {
    await neighbours.warmUp();
    const turns = alternate(stage, neighbours, {
      endsAtMs: performance.now() + ms,
      signal: over.signal,
      say,
    });
    await Promise.race([turns, stage.hostile.failed]);
  } finally {
    await watch.stop();
    await neighbours.stop();
    await stage.stop();
  }
  const endMs = Date.now();
  const blocks = await readBlocks(stage.blocksFile);
  const { copies, swaps } = neighbours.listSamples();
  for (const finding of [
    ...checkBlocks(blocks),
    ...checkShares('copies', copies, endMs),
    ...checkShares('swaps', swaps, endMs),
  ]) {
    onFinding(finding);
  }
  return {
    wrong: findings.map((finding) => ({ invariant: finding.invariant, sentence: describe(finding, acts) })),
    figures: [
      `a copy of others took ${formatShares(readShares(copies, endMs))}`,
      `a swap of others took ${formatShares(readShares(swaps, endMs))}`,
      `the longest block of the event loop was ${Math.max(0, ...blocks.map(({ cpuMs }) => cpuMs))} ms of CPU`,
      `the pod took ${toMib(watch.peakBytes)} at most`,
      `the hostile tenant did ${acts.filter(({ act }) => act.includes(': ')).length} things`,
    ],
  };
}

interface Turns {
  readonly endsAtMs: number;
  readonly signal: AbortSignal;
  say(text: string): void;
}

async function alternate(
  stage: Stage,
  neighbours: Neighbours,
  { endsAtMs, signal, say }: Turns,
): Promise<void> {
  for (let turn = 0; performance.now() < endsAtMs && !signal.aborted; turn += 2) {
    say('tenants: the teams alone');
    await neighbours.live(ALONE_MS, turn);
    await neighbours.settle(SETTLE_MS);
    say('tenants: the hostile tenant begins');
    stage.hostile.attack();
    await Promise.all([
      neighbours.live(BESIDE_MS, turn + 1),
      neighbours.watchTags(BESIDE_MS),
      neighbours.rescue(),
    ]);
    await neighbours.settle(SETTLE_MS);
    await stage.hostile.withdraw();
  }
  await neighbours.settle(SETTLE_MS);
  await neighbours.checkTags();
}

async function readBlocks(file: string): Promise<readonly Block[]> {
  // There is none as long as nothing was blocked.
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Block);
}

function formatShares({ alone, beside }: Shares): string {
  const [aloneMs, besideMs] = [findMedian(alone), findMedian(beside)];
  const [own, other] = [aloneMs, besideMs].map((ms) => `${(ms / 1_000).toFixed(1)} s`);
  const ratio = (besideMs / aloneMs).toFixed(2);
  return `${own} alone (of ${alone.length}), ${other} beside the hostile tenant (of ${beside.length}): ${ratio}x`;
}

/** With the last acts before it. */
function describe({ what, atMs }: Finding, acts: readonly Act[]): string {
  const before = acts.filter((act) => act.atMs <= atMs).slice(-SHOWN_ACTS);
  const lines = before.map((act) => `\n  ${((atMs - act.atMs) / 1_000).toFixed(1)} s before: ${act.act}`);
  return `${what}${lines.join('')}`;
}
