import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Processes } from '../support/processes.ts';
import { bundleProgram, readImageEnvironment, readNodeOptions } from './as-in-a-pod.ts';

/** Images to be backed up, in plain data. */
export interface CopyOrder {
  readonly images: readonly {
    readonly source: string;
    /** As Ready pods show it; undefined: only the source knows. */
    readonly digest?: string;
  }[];
  /** As in the ConfigMap. */
  readonly settings: Readonly<Record<string, string>>;
  /** Path of regctl. */
  readonly program: string;
}

export interface CopyOutcome {
  readonly copied: number;
  readonly found: number;
  readonly failed: number;
  readonly wallMs: number;
  /** Of the controller alone; regctl is not in it. */
  readonly cpuMs: number;
}

/** The copy path of the controller, in a process of its own. */
export interface ControllerProcess {
  readonly pid: number | undefined;
  /**
   * Backs the images up and returns when all are settled.
   *
   * @throws {Error} unless every image is in the backup afterwards.
   */
  backUp(order: CopyOrder): Promise<CopyOutcome>;
  readMemory(): Promise<Memory>;
  close(): Promise<void>;
}

/** Resident bytes, as Linux counts them. */
export interface Memory {
  /** Highest ever, of the controller alone. */
  readonly peakBytes: number;
  /** Highest ever of each regctl that runs at the moment. */
  readonly enginePeaksBytes: readonly number[];
}

let started = 0;

export async function startControllerProcess(processes: Processes): Promise<ControllerProcess> {
  started += 1;
  const folder = await processes.createFolder(`copy-process-${started}`);
  await bundleProgram(fileURLToPath(import.meta.resolve('./copy-process.ts')), folder);
  const child = fork(join(folder, 'copy-process.mjs'), {
    execArgv: [...(await readNodeOptions())],
    env: { ...process.env, ...(await readImageEnvironment()), NODE_OPTIONS: undefined },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  return {
    pid: child.pid,
    async backUp(order) {
      child.send(order);
      const outcome = await receive(child);
      if (outcome.failed > 0 || outcome.copied + outcome.found !== order.images.length) {
        throw new Error(`not every image was backed up: ${JSON.stringify(outcome)}`);
      }
      return outcome;
    },
    readMemory: () => readMemory(child.pid ?? 0),
    async close() {
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}

async function receive(child: ChildProcess): Promise<CopyOutcome> {
  const stop = new AbortController();
  const ended = once(child, 'exit', { signal: stop.signal }).then(() => {
    throw new Error('the measured process ended too early');
  });
  try {
    const [outcome] = await Promise.race([once(child, 'message', { signal: stop.signal }), ended]);
    return outcome as CopyOutcome;
  } finally {
    stop.abort();
    ended.catch(() => undefined);
  }
}

/** Of a process and the engines that it has started. */
export async function readMemory(id: number): Promise<Memory> {
  const children = await readFile(`/proc/${id}/task/${id}/children`, 'utf8');
  const engines = children.trim().split(' ').filter(Boolean).map(Number);
  const [own, ...others] = await Promise.all([readStatus(id), ...engines.map(readStatus)]);
  return {
    peakBytes: own.peakBytes,
    // Between fork and exec a child is still a copy of its parent.
    enginePeaksBytes: others.flatMap((status) => (status.name === 'regctl' ? [status.peakBytes] : [])),
  };
}

async function readStatus(id: number): Promise<{ readonly name: string; readonly peakBytes: number }> {
  // Empty for a process that has just ended.
  const text = await readFile(`/proc/${id}/status`, 'utf8').catch(() => '');
  return {
    name: /^Name:\s+(.*)$/m.exec(text)?.[1] ?? '',
    peakBytes: Number(/^VmHWM:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024,
  };
}
