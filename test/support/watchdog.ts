/**
 * Cleans up after a process that cannot do so itself any more, because it was killed or crashed.
 *
 * Runs as a process of its own, in its own session so that Ctrl-C does not reach it. It is told over standard input
 * what there is to clean up, one JSON object per line; the end of the input is the end of whoever started it, however
 * that came about, for the operating system closes the pipe. Then it stops what is left.
 */
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeCgroup } from './node/cgroups.ts';

export type WatchdogOrder =
  | { readonly folder: string }
  /** Name of a control group, with everything below it. */
  | { readonly cgroup: string }
  /** Process id of a child that leads its own process group. */
  | { readonly started: number }
  | { readonly ended: number };

const GRACE_MS = 3_000;
const POLL_MS = 50;

async function main(): Promise<void> {
  const folders = new Set<string>();
  const cgroups = new Set<string>();
  const children = new Set<number>();
  for await (const line of createInterface(process.stdin)) {
    const order = JSON.parse(line) as WatchdogOrder;
    if ('folder' in order) {
      folders.add(order.folder);
    } else if ('cgroup' in order) {
      cgroups.add(order.cgroup);
    } else if ('started' in order) {
      children.add(order.started);
    } else {
      children.delete(order.ended);
    }
  }
  await stop([...children]);
  for (const folder of folders) {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  for (const cgroup of cgroups) {
    await removeCgroup(cgroup);
  }
}

async function stop(children: readonly number[]): Promise<void> {
  let left = children.filter((child) => signalGroup(child, 'SIGTERM'));
  const endsAtMs = Date.now() + GRACE_MS;
  while (left.length > 0 && Date.now() < endsAtMs) {
    await sleep(POLL_MS);
    left = left.filter((child) => signalGroup(child, 0));
  }
  for (const child of left) {
    signalGroup(child, 'SIGKILL');
  }
}

/** False when nobody is left in the child's process group. */
function signalGroup(child: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-child, signal);
  } catch {
    return false;
  }
}

await main();
