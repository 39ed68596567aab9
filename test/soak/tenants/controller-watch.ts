/** Looks at the controller from outside while it works: its memory, its Lease, its health. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { CONTROLLER_LEASE } from '../../support/controller.ts';
import type { AnyObject } from '../../support/objects.ts';
import {
  checkHealth,
  checkLease,
  checkMemory,
  type Finding,
  type LeaseState,
  type ProcessMemory,
  sumMemory,
} from './checks.ts';
import type { Stage } from './stage.ts';

/** Of each kind: a state lasts, and is found again at every look. */
const MOST_TOLD = 3;
const LOG_LINES = 8;
const LONGEST_LINE = 400;
const MEMORY_EVERY_MS = 40;
const LOOK_EVERY_MS = 500;
/** Twice what a kubelet waits for an answer: the machine is busy. */
const ANSWER_MS = 2_000;

interface LeaseObject extends AnyObject {
  readonly spec: {
    readonly holderIdentity: string;
    readonly leaseTransitions?: number;
    readonly leaseDurationSeconds: number;
    readonly renewTime: string;
  };
}

export class ControllerWatch {
  readonly #stage: Stage;
  readonly #onFinding: (finding: Finding) => void;
  readonly #stopping = new AbortController();
  readonly #watching: Promise<unknown>;
  /** Highest so far, of the whole pod. */
  peakBytes = 0;

  constructor(stage: Stage, onFinding: (finding: Finding) => void) {
    this.#stage = stage;
    this.#onFinding = onFinding;
    this.#watching = Promise.all([this.#watchMemory(), this.#watchLease(), this.#watchHealth()]);
    const { signal } = this.#stopping;
    const { program } = stage.controller;
    void program.ended.then(async (outcome) => {
      if (!signal.aborted) {
        const atMs = Date.now();
        const last = (await program.log()).trimEnd().split('\n').slice(-LOG_LINES);
        const tail = last.map((line) => `\n  ${line.slice(0, LONGEST_LINE)}`).join('');
        onFinding({
          invariant: 'health',
          atMs,
          what: `the controller ended with ${outcome}; its log:${tail}`,
        });
      }
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
  }

  async #repeat(everyMs: number, look: () => Promise<readonly Finding[]>): Promise<void> {
    const { signal } = this.#stopping;
    let told = 0;
    while (!signal.aborted && this.#stage.controller.program.pid !== undefined) {
      // The API server is busy, or a process has just ended.
      const findings = await look().catch((): readonly Finding[] => []);
      for (const finding of findings.slice(0, MOST_TOLD - told)) {
        told += 1;
        this.#onFinding(finding);
      }
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #watchMemory(): Promise<void> {
    await this.#repeat(MEMORY_EVERY_MS, async () => {
      const processes = await readMemory(this.#stage.controller.program.pid ?? 0);
      this.peakBytes = Math.max(this.peakBytes, sumMemory(processes));
      return checkMemory(processes, Date.now());
    });
  }

  async #watchLease(): Promise<void> {
    const before = await this.#readLease();
    await this.#repeat(LOOK_EVERY_MS, async () => checkLease(before, await this.#readLease(), Date.now()));
  }

  async #readLease(): Promise<LeaseState> {
    const lease = await this.#stage.kube.get<LeaseObject>(CONTROLLER_LEASE);
    if (!lease) {
      throw new Error('there is no Lease');
    }
    const { holderIdentity, leaseTransitions = 0, leaseDurationSeconds, renewTime } = lease.spec;
    return {
      holder: holderIdentity,
      transitions: leaseTransitions,
      renewedAtMs: Date.parse(renewTime),
      durationMs: leaseDurationSeconds * 1_000,
    };
  }

  async #watchHealth(): Promise<void> {
    const answers: { atMs: number; isGreen: boolean }[] = [];
    await this.#repeat(LOOK_EVERY_MS, async () => {
      const atMs = Date.now();
      const url = `${this.#stage.controller.healthUrl}/healthz`;
      const isGreen = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) }).then(
        ({ ok }) => ok,
        () => false,
      );
      answers.push({ atMs, isGreen });
      return checkHealth(answers);
    });
  }
}

/** The controller and its engines. */
async function readMemory(id: number): Promise<readonly ProcessMemory[]> {
  const children = await readFile(`/proc/${id}/task/${id}/children`, 'utf8');
  const engines = children.trim().split(' ').filter(Boolean).map(Number);
  const all = await Promise.all([id, ...engines].map(readProcess));
  // Between fork and exec a child is still a copy of its parent.
  return all.filter(({ program }, index) => index === 0 || program !== all[0]?.program);
}

async function readProcess(id: number): Promise<ProcessMemory> {
  // Empty for a process that has just ended.
  const text = await readFile(`/proc/${id}/status`, 'utf8').catch(() => '');
  const read = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
  return {
    program: /^Name:\s+(.*)$/m.exec(text)?.[1] ?? '',
    anonymousBytes: read('RssAnon'),
    fileBytes: read('RssFile'),
  };
}
