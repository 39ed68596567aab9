/**
 * Finds or builds the real programs that tests and demo run: etcd, the Kubernetes control plane, kubectl, helm, the
 * distribution registry and regctl; and where this machine can run a real node, containerd, kubelet and kube-proxy.
 *
 * They are built from the Go modules beside this file into a cache outside the checkout, in one folder per module and
 * key (see `moduleKey`), so a second clone starts at once. The folder may be deleted at any time.
 */
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { announceFallback, readMachineFacts } from '../support/node/conditions.ts';
import { findInstalledTools, isProgram } from './found-tools.ts';
import { buildWithGo, findGo, seconds } from './go-build.ts';
import { createProgress, type Progress } from './progress.ts';
import {
  buildFlags,
  moduleFolder,
  moduleKey,
  NODE_TOOL_MODULES,
  TOOL_MODULES,
  type NodeToolName,
  type ToolModule,
  type ToolName,
} from './tool-modules.ts';

/** Absolute path of each program. */
export type Tools = Readonly<Record<ToolName, string>>;
/** The same of what a real node needs besides. */
export type NodeTools = Readonly<Record<NodeToolName, string>>;

export interface EnsureToolsOptions {
  readonly environment?: NodeJS.ProcessEnv;
  readonly progress?: Progress;
}

/**
 * Paths of all programs. Takes milliseconds when nothing has to be built, minutes otherwise.
 *
 * @throws {Error} that says what to do, when Go is missing or too old or a build fails.
 */
export async function ensureTools(options: EnsureToolsOptions = {}): Promise<Tools> {
  const installed = await findInstalledTools(options.environment ?? process.env);
  return (await ensurePrograms(TOOL_MODULES, installed, options)) as Tools;
}

/** The same for what a real node needs. */
export async function ensureNodeTools(options: EnsureToolsOptions = {}): Promise<NodeTools> {
  return (await ensurePrograms(NODE_TOOL_MODULES, {}, options)) as NodeTools;
}

type ProgramName = ToolName | NodeToolName;
type Programs = Partial<Record<ProgramName, string>>;

async function ensurePrograms(
  modules: readonly ToolModule[],
  installed: Programs,
  { environment = process.env, progress = createProgress(process.stderr) }: EnsureToolsOptions,
): Promise<Programs> {
  const programs: Programs = { ...installed };
  const builds: ModuleBuild[] = [];
  for (const module of modules) {
    const wanted = namesOf(module).filter((name) => !programs[name]);
    if (wanted.length > 0) {
      const folder = await cacheFolder(module, environment);
      const missing = await filter(wanted, async (name) => !(await isProgram(join(folder, name))));
      Object.assign(programs, Object.fromEntries(wanted.map((name) => [name, join(folder, name)])));
      builds.push({ module, folder, missing });
    }
  }
  await buildMissing(
    builds.filter((build) => build.missing.length > 0),
    progress,
  );
  return programs;
}

interface ModuleBuild {
  readonly module: ToolModule;
  readonly folder: string;
  readonly missing: readonly ProgramName[];
}

async function buildMissing(builds: readonly ModuleBuild[], progress: Progress): Promise<void> {
  if (builds.length === 0) {
    return;
  }
  const names = builds.flatMap((build) => build.missing);
  progress.say(`Building the test tools from source, once: ${names.join(', ')}.`);
  if (names.includes('kube-apiserver')) {
    progress.say(
      'On two cores the first time takes 7 to 12 minutes, plus the download of about 280 MB of source.',
    );
  }
  if (names.includes('containerd')) {
    progress.say('On two cores the first time takes 2 to 3 minutes: what a real node needs.');
  }
  for (const build of builds) {
    await buildModule(build, progress);
  }
}

/**
 * Programs appear in the cache whole and one by one, by renaming: an interrupted build leaves nothing half-done, and of
 * two builders at once the later one replaces a program with the same program.
 */
async function buildModule({ module, folder, missing }: ModuleBuild, progress: Progress): Promise<void> {
  const startedAtMs = Date.now();
  const packages = missing.map((name) => module.packages[name] as string);
  progress.say(`- ${missing.join(', ')}`);
  await mkdir(folder, { recursive: true });
  await removeLeftovers(folder);
  const output = await mkdtemp(join(folder, BUILDING));
  try {
    await buildWithGo(
      { folder: moduleFolder(module), flags: buildFlags(module), packages, output },
      progress,
    );
    for (const name of await readdir(output)) {
      await rename(join(output, name), join(folder, programName(name, module)));
    }
  } finally {
    await rm(output, { recursive: true, force: true });
  }
  progress.say(`  done in ${seconds(startedAtMs)}`);
}

const BUILDING = '.building-';
const DAY_MS = 24 * 60 * 60 * 1_000;

/** Of builds that were killed; one that is still going on is never that old. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (name.startsWith(BUILDING) && Date.now() - (await stat(path)).mtimeMs > DAY_MS) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

/** Go names a program after the last folder of its package, whatever we call it. */
function programName(goName: string, module: ToolModule): string {
  const isSame = (name: ProgramName): boolean =>
    basename((module.packages[name] as string).replace(/\/v\d+$/, '')) === goName;
  return namesOf(module).find(isSame) ?? goName;
}

async function cacheFolder(module: ToolModule, environment: NodeJS.ProcessEnv): Promise<string> {
  const caches = environment['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const key = await moduleKey(module, await findGo(moduleFolder(module)));
  return join(caches, 'backup-image-registry', 'tools', `${module.name}-${key}`);
}

function namesOf(module: ToolModule): ProgramName[] {
  return Object.keys(module.packages) as ProgramName[];
}

async function filter<T>(items: readonly T[], test: (item: T) => Promise<boolean>): Promise<T[]> {
  const passed = await Promise.all(items.map(test));
  return items.filter((_, index) => passed[index]);
}

if (process.argv[1] === import.meta.filename) {
  try {
    const fallback = announceFallback(await readMachineFacts());
    if (fallback !== undefined) {
      process.stderr.write(`${fallback}\n`);
    }
    const tools = await ensureTools();
    const nodeTools = fallback === undefined && (await ensureNodeTools());
    if (process.argv.includes('--list')) {
      const lines = Object.entries({ ...tools, ...nodeTools }).map(
        ([name, path]) => `${name.padEnd(24)} ${path}\n`,
      );
      process.stdout.write(lines.join(''));
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
