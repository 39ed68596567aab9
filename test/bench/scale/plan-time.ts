import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import type { InstallDeps } from '../../support/controller.ts';
import { readCpuTime } from '../cpu-time.ts';
import { type Bundle, environmentOf } from './bundle.ts';

export interface PlanTime {
  readonly wallMs: number;
  readonly cpuMs: number;
  /** Undefined when it was ended at the deadline. */
  readonly summary: string | undefined;
}

/** The command `plan` of the bundle, as in a pod of the controller. Ended at the deadline. */
export async function measurePlan(deps: InstallDeps, bundle: Bundle, deadlineMs: number): Promise<PlanTime> {
  const before = await readCpuTime(process.pid);
  const startedAtMs = performance.now();
  const child = spawn(process.execPath, [...bundle.nodeOptions, join(bundle.folder, 'main.mjs'), 'plan'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: environmentOf(deps, bundle),
  });
  const tooLate = setTimeout(() => child.kill(), deadlineMs);
  let end = '';
  child.stdout.on('data', (chunk: Buffer) => {
    end = (end + chunk.toString()).slice(-1_000);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  const wallMs = performance.now() - startedAtMs;
  clearTimeout(tooLate);
  if (code !== 0 && code !== null) {
    throw new Error(`plan ended with ${code}`);
  }
  const { childrenMs } = await readCpuTime(process.pid);
  const cpuMs = childrenMs - before.childrenMs;
  return { wallMs, cpuMs, summary: code === 0 ? end.trimEnd().split('\n').at(-1) : undefined };
}
