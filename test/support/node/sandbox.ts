/**
 * Where a real node lives: network, mounts and process ids of its own, in no way of leaving.
 *
 * All of it hangs on one process. When that ends, however it ends, the kernel ends whatever runs inside, unmounts what
 * was mounted there, and removes the network with both ends of its cable. The network has a route to one address of this
 * machine and none to anywhere else.
 */
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findChildren } from '../child-processes.ts';
import type { Processes, Program } from '../processes.ts';
import { waitFor } from '../wait-for.ts';

const run = promisify(execFile);

export interface Sandbox {
  /** Unique on this machine while the sandbox exists. */
  readonly name: string;
  /** Of this machine: what the node and its pods can reach. */
  readonly hostAddress: string;
  /** Of the node: this machine can reach it, and through it the pods. */
  readonly nodeAddress: string;
  readonly podSubnet: string;
  /** Process id, as this machine counts, of the first process inside. */
  readonly processId: number;
  /** The same program, started inside. */
  inside<T extends Pick<Program, 'command' | 'args'>>(program: T): T;
}

/** PID 1 of the sandbox: it adopts orphans, and the shell buries them. */
const INIT = 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done';
/** System folders that programs insist on; inside, each is an empty one of our own. */
const PRIVATE_FOLDERS = ['/run', '/var/lib', '/var/log'];

export async function startSandbox(processes: Processes): Promise<Sandbox> {
  const holder = await processes.run({
    name: 'node-sandbox',
    command: 'unshare',
    args: ['--fork', '--kill-child', '--pid', '--mount-proc', '--mount', '--net', 'sh', '-c', INIT],
    // It lets SIGTERM pass; there is nothing in it that has to end in good order.
    graceMs: 0,
  });
  const [processId = 0] = await waitFor(
    async () => {
      const children = await findChildren(holder.pid, 'sh');
      return children.length > 0 && children;
    },
    { what: 'the first process of the sandbox' },
  );
  const network = await plugIn(processId);
  await mountPrivateFolders(processId, await processes.createFolder('node'));
  return { ...network, processId, inside: (program) => ({ ...program, ...enter(processId, program) }) };
}

/** Ends with `nsenter`, which passes on no signal itself. */
function enter(processId: number, { command, args }: Pick<Program, 'command' | 'args'>) {
  const namespaces = [`--target=${processId}`, '--net', '--mount', '--pid'];
  return {
    command: 'nsenter',
    args: [...namespaces, '--', 'setpriv', '--pdeathsig=TERM', '--', command, ...args],
  };
}

interface Network extends Pick<Sandbox, 'name' | 'hostAddress' | 'nodeAddress' | 'podSubnet'> {}

const TRIES = 20;

/** From 198.18.0.0/15: reserved for test networks (RFC 2544), so nobody's real addresses. */
async function plugIn(processId: number): Promise<Network> {
  for (let attempt = 1; ; attempt += 1) {
    const number = randomInt(256);
    const network = {
      name: `test-node-${number}`,
      hostAddress: `198.18.${number}.1`,
      nodeAddress: `198.18.${number}.2`,
      podSubnet: `198.19.${number}.0/24`,
    };
    try {
      await ip(`link add ${network.name} type veth peer name uplink netns ${processId}`);
      await configure(processId, network);
      return network;
    } catch (error) {
      // Another node may have the number.
      if (attempt === TRIES || !String(error).includes('File exists')) {
        throw error;
      }
    }
  }
}

async function configure(
  processId: number,
  { name, hostAddress, nodeAddress, podSubnet }: Network,
): Promise<void> {
  await ip(`address add ${hostAddress}/30 dev ${name}`);
  await ip(`link set ${name} up`);
  await run('nsenter', [
    `--target=${processId}`,
    '--net',
    'sh',
    '-ec',
    [
      'ip link set lo up',
      `ip address add ${nodeAddress}/30 dev uplink`,
      'ip link set uplink up',
      'echo 1 > /proc/sys/net/ipv4/ip_forward',
    ].join('\n'),
  ]);
  await ip(`route add ${podSubnet} via ${nodeAddress}`);
}

async function ip(command: string): Promise<void> {
  await run('ip', command.split(' '));
}

async function mountPrivateFolders(processId: number, folder: string): Promise<void> {
  for (const path of PRIVATE_FOLDERS) {
    const own = join(folder, path);
    await mkdir(own, { recursive: true });
    await run('nsenter', [`--target=${processId}`, '--mount', 'mount', '--bind', own, path]);
  }
}
