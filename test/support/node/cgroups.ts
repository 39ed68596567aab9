/** The control groups of a real node: one folder of its own in each hierarchy. */
import { access, constants, mkdir, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = '/sys/fs/cgroup';
/** Of version 1, those that kubelet and runc insist on. */
const CONTROLLERS = ['cpu', 'cpuacct', 'cpuset', 'memory', 'pids', 'devices', 'freezer'];

/** `problem` says what is in the way of a node, if something is. */
export async function findCgroupVersion(): Promise<{ version: 1 | 2; problem?: string }> {
  if (await exists(join(ROOT, 'cgroup.controllers'))) {
    return (await isWritable(ROOT))
      ? { version: 2 }
      : { version: 2, problem: `${ROOT} cannot be written to: control groups are not ours to make here` };
  }
  for (const controller of CONTROLLERS) {
    const folder = join(ROOT, controller);
    if (!(await isWritable(folder))) {
      const problem = `${folder} is not there or cannot be written to: the control group "${controller}" is not mounted`;
      return { version: 1, problem };
    }
  }
  return { version: 1 };
}

async function exists(path: string): Promise<boolean> {
  return isAllowed(path, constants.F_OK);
}

async function isWritable(path: string): Promise<boolean> {
  return isAllowed(path, constants.W_OK);
}

async function isAllowed(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

/**
 * In all hierarchies; the kubelet wants to find the one that it is given.
 *
 * The name is that of a network device, which the kernel gives to one node at a time: a control group that has it was
 * left by a run that was killed together with its watchdog, and goes first.
 */
export async function createCgroup(name: string): Promise<void> {
  await removeCgroup(name);
  for (const folder of await hierarchies()) {
    await mkdir(join(folder, name));
  }
}

/** With version 2 there is one, and its folders are control groups; with version 1 each folder is one. */
async function hierarchies(): Promise<readonly string[]> {
  const { version } = await findCgroupVersion();
  if (version === 2) {
    return [ROOT];
  }
  const entries = await readdir(ROOT, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(ROOT, entry.name));
}

const TRIES = 20;
const RETRY_MS = 100;

/** From all hierarchies, with everything below. Its processes must have been ended; the kernel takes a moment to notice. */
export async function removeCgroup(name: string): Promise<void> {
  for (const folder of await hierarchies()) {
    const cgroup = join(folder, name);
    for (let attempt = 0; attempt < TRIES && (await exists(cgroup)); attempt += 1) {
      await removeTree(cgroup).catch(async () => sleep(RETRY_MS));
    }
  }
}

/** The files in such a folder cannot be removed, and need not be. */
async function removeTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) {
      await removeTree(join(folder, entry.name));
    }
  }
  await rmdir(folder);
}
