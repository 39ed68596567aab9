/** Nothing of a node is left on the machine, however the process ends that has started it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

import { describe, expect, it } from 'vitest';

import { isAlive } from '../support/child-processes.ts';
import { createCgroup, removeCgroup } from '../support/node/cgroups.ts';
import { connectToNodeCluster } from '../support/node/node-test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';

const { node, nodeProgram } = connectToNodeCluster();
const SUPPORT = join(import.meta.dirname, '../support');

/** A sandbox with a program in a control group of the node's own, and a file system that is mounted inside. */
const SCRIPT = `
  import { writeFileSync } from 'node:fs';
  import { createProcesses } from '${SUPPORT}/processes.ts';
  import { createCgroup } from '${SUPPORT}/node/cgroups.ts';
  import { startSandbox } from '${SUPPORT}/node/sandbox.ts';
  const processes = createProcesses();
  const sandbox = await startSandbox(processes);
  processes.ownCgroup(sandbox.name);
  await createCgroup(sandbox.name);
  const folder = await processes.createFolder('mounted');
  const script = 'mount -t tmpfs inside ' + folder + ' && exec ${nodeProgram} wait';
  const { pid } = await processes.run({
    ...sandbox.inside({ command: 'sh', args: ['-c', script] }),
    name: 'inside',
  });
  writeFileSync('/sys/fs/cgroup/' + (process.env.CGROUP_FOLDER ?? '') + sandbox.name + '/cgroup.procs', String(pid));
  console.log(JSON.stringify({ name: sandbox.name, folder: processes.folder, ids: [sandbox.processId, pid] }));
  process.stdin.once('data', () => processes.close().then(() => process.exit()));
`;

interface Started {
  readonly name: string;
  readonly folder: string;
  readonly ids: readonly number[];
}

/** @throws {Error} with its own words, when it ends instead. */
async function startSandbox(): Promise<{ parent: ChildProcess; started: Started }> {
  const CGROUP_FOLDER = existsSync('/sys/fs/cgroup/cgroup.controllers') ? '' : 'pids/';
  const parent = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, CGROUP_FOLDER },
  });
  const failed = text(parent.stderr).then((words) => {
    throw new Error(`the process ended and had started no sandbox: ${words}`);
  });
  const line = once(createInterface(parent.stdout), 'line') as Promise<[string]>;
  const [started] = await Promise.race([line, failed]);
  return { parent, started: JSON.parse(started) as Started };
}

/** Whatever of it there is on this machine, in words. */
function findLeftovers({ name, folder, ids }: Started): readonly string[] {
  const hierarchies = ['', ...readdirSync('/sys/fs/cgroup')];
  return [
    ...ids.filter(isAlive).map((id) => `process ${id}`),
    ...[folder, `/sys/class/net/${name}`].filter((path) => existsSync(path)),
    ...hierarchies.map((one) => join('/sys/fs/cgroup', one, name)).filter((path) => existsSync(path)),
    ...readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(folder)),
  ];
}

describe.runIf(node)('a sandbox is gone without a trace', () => {
  it.each([
    ['closes it', (parent: ChildProcess) => parent.stdin?.write('x')],
    ['is killed', (parent: ChildProcess) => parent.kill('SIGKILL')],
    ['gets SIGTERM', (parent: ChildProcess) => parent.kill('SIGTERM')],
    ['gets Ctrl-C', (parent: ChildProcess) => parent.kill('SIGINT')],
  ])('when the process that has started it %s', async (_, end) => {
    const { parent, started } = await startSandbox();
    expect(findLeftovers(started).length).toBeGreaterThanOrEqual(5);
    end(parent);
    await waitFor(() => findLeftovers(started).length === 0, { what: 'everything to be gone' });
  });
});

it.runIf(node)('a control group that a killed run has left is no obstacle to the next one', async () => {
  const name = `test-left-${process.pid}`;
  await createCgroup(name);
  try {
    await expect(createCgroup(name)).resolves.toBeUndefined();
  } finally {
    await removeCgroup(name);
  }
});
