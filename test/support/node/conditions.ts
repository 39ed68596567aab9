/** Whether a real node can run on this machine; if not, exactly what is in the way, and what helps. */
import { execFile } from 'node:child_process';
import { access, constants, readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { findCgroupVersion } from './cgroups.ts';

const run = promisify(execFile);

/** Where Debian, and everybody else, puts the plugins that give a pod its network. */
const CNI_FOLDERS = ['/usr/lib/cni', '/opt/cni/bin'];
const CNI_PLUGINS = ['ptp', 'host-local', 'loopback'];

/** Debian package of each program that is used as it is installed. */
const PROGRAMS = {
  runc: 'runc',
  ip: 'iproute2',
  nft: 'nftables',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
} as const;

export interface MachineFacts {
  readonly platform: NodeJS.Platform;
  readonly userId: number | undefined;
  readonly programs: ReadonlySet<string>;
  /** Undefined when no folder has all plugins. */
  readonly cniFolder: string | undefined;
  /** What is wrong with the control groups, in words; undefined when nothing is. */
  readonly cgroupProblem: string | undefined;
  readonly hasOverlay: boolean;
  /** What the kernel said to new namespaces with a pair of network interfaces; undefined when they work. */
  readonly namespaceProblem: string | undefined;
}

/** One sentence for each condition that is not met; empty when a node can run. */
export function findNodeProblems(facts: MachineFacts): readonly string[] {
  if (facts.platform !== 'linux') {
    return [`this is ${facts.platform}, and a node needs Linux`];
  }
  if (facts.userId !== 0) {
    return ['a node needs root: namespaces, mounts and control groups are not for others'];
  }
  const missing = Object.keys(PROGRAMS).filter((program) => !facts.programs.has(program));
  const problems = missing.map(
    (program) =>
      `there is no "${program}" in PATH; on Debian: apt-get install ${PROGRAMS[program as keyof typeof PROGRAMS]}`,
  );
  if (!facts.cniFolder) {
    const where = CNI_FOLDERS.join(' or ');
    problems.push(
      `there is no ${CNI_PLUGINS.join(', ')} in ${where}; on Debian: apt-get install containernetworking-plugins`,
    );
  }
  if (!facts.hasOverlay) {
    problems.push('the kernel has no overlay file system; try: modprobe overlay');
  }
  if (facts.cgroupProblem) {
    problems.push(facts.cgroupProblem);
  }
  if (facts.namespaceProblem && missing.length === 0) {
    problems.push(`the kernel refuses namespaces or network interfaces: ${facts.namespaceProblem}`);
  }
  return problems;
}

/** Debian packages that are missing for a real node. */
function listMissingPackages({ programs, cniFolder }: MachineFacts): readonly string[] {
  const packages = Object.entries(PROGRAMS).flatMap(([program, name]) =>
    programs.has(program) ? [] : [name],
  );
  return [...new Set([...packages, ...(cniFolder ? [] : ['containernetworking-plugins'])])];
}

/** One line for who is about to wait for a build: what they will not see, and how to see it. Undefined when all is there. */
export function announceFallback(facts: MachineFacts): string | undefined {
  const [problem] = findNodeProblems(facts);
  if (problem === undefined) {
    return undefined;
  }
  const packages = facts.platform === 'linux' && facts.userId === 0 ? listMissingPackages(facts) : [];
  const why =
    packages.length > 0
      ? `on Debian, "apt-get install ${packages.join(' ')}" brings what is missing`
      : problem;
  return `No real containers here (${why}). Everything goes on without: a test kubelet says that pods run.`;
}

export async function readMachineFacts(): Promise<MachineFacts> {
  const names = Object.keys(PROGRAMS);
  const found = await Promise.all(names.map(findProgram));
  return {
    platform: process.platform,
    userId: process.getuid?.(),
    programs: new Set(names.filter((_, index) => found[index])),
    cniFolder: await findCniFolder(),
    cgroupProblem: await findCgroupProblem(),
    hasOverlay: (await read('/proc/filesystems')).includes('\toverlay\n'),
    namespaceProblem: await tryNamespaces(),
  };
}

/** For where a node cannot run but must, or is replaced: never without a word. */
export function describeProblems(problems: readonly string[]): string {
  return ['No real node on this machine:', ...problems.map((problem) => `- ${problem}`)].join('\n');
}

export async function findCniFolder(): Promise<string | undefined> {
  for (const folder of CNI_FOLDERS) {
    const found = await Promise.all(CNI_PLUGINS.map(async (plugin) => isProgram(join(folder, plugin))));
    if (found.every(Boolean)) {
      return folder;
    }
  }
  return undefined;
}

async function findProgram(name: string): Promise<boolean> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean);
  const found = await Promise.all(folders.map(async (folder) => isProgram(join(folder, name))));
  return found.some(Boolean);
}

async function isProgram(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}

async function findCgroupProblem(): Promise<string | undefined> {
  if (process.platform !== 'linux') {
    return undefined;
  }
  return (await findCgroupVersion()).problem;
}

/** In namespaces of their own, which are gone again with the command. */
async function tryNamespaces(): Promise<string | undefined> {
  const script = 'ip link add left type veth peer name right && nft add table ip probe';
  try {
    await run('unshare', ['--fork', '--pid', '--mount-proc', '--mount', '--net', 'sh', '-c', script]);
    return undefined;
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    return stderr.trim() || message;
  }
}
