import { Command, Option } from 'commander';

import { map, type MapOutput } from './map/map.ts';
import { plan } from './plan/plan.ts';
import { restore } from './restore/restore.ts';
import type { Environment } from '../runtime/identity.ts';
import { run } from '../runtime/run.ts';
import { createLog } from '../telemetry/log.ts';
import type { CommandOptions } from './cluster.ts';
import { type CommandName, formatExitCodes } from './exit-codes.ts';
import { createKubeconfigOption } from './kubeconfig-option.ts';
import { type RunFlags, addRunFlags, parseRunFlags } from './run/run-flags.ts';
import { parseSelection, type Selection } from './selection.ts';
import { parseOverrides } from './setting-overrides.ts';
import type { Terminal } from './terminal.ts';

export interface ProgramDeps {
  readonly environment: Environment;
  readonly version: string;
  readonly terminal: Terminal;
  /** For what must be ended in order; everything else ends at once with the process. */
  readonly createStopSignal: () => AbortSignal;
  /** Told of the exit code. */
  readonly onDone: (exitCode: number) => void;
}

interface Flags {
  readonly kubeconfig?: string;
  readonly namespace?: string;
  readonly controllerNamespace?: string;
  readonly set?: readonly string[];
}

const CONTROLLER_NAMESPACE =
  'namespace of the controller, where its ConfigMap and its Lease are; without it: $POD_NAMESPACE, or ' +
  'backup-image-registry';

const COMMON_HELP = `
Settings come from the ConfigMap of the controller, and below it from environment variables, as for run.
WORKLOAD is kind/name, such as deployment/web, ds/agent or DaemonSet/agent, and needs --namespace.`;

const RUN_HELP = `
Settings come from the ConfigMap k8s-backup-image-registry-controller-configuration in the namespace that
this runs in ($POD_NAMESPACE; outside a cluster: backup-image-registry), and below it from environment
variables of the same names. An edit of the ConfigMap takes effect without a restart. The only required
one is REGISTRY_PREFIX, where the copies go:

  REGISTRY_PREFIX=registry.example.com/backup npm start -- --kubeconfig ~/.kube/config

Credentials for registries come from config.json in the folder $DOCKER_CONFIG. The copies are made by
regctl, which has to be in PATH. docs/reference/settings.md explains every setting.
${formatExitCodes('run')}`;

function createOutputOption(outputs: readonly string[]): Option {
  return new Option('-o, --output <format>', 'how it is written').choices(outputs).default('table');
}

function addCommand(program: Command, name: CommandName): Command {
  return program
    .command(name)
    .argument('[workload]', 'only this one, as kind/name; default: all')
    .option('-n, --namespace <name>', 'only workloads of this namespace; default: all namespaces')
    .option('--controller-namespace <name>', CONTROLLER_NAMESPACE)
    .addOption(createKubeconfigOption())
    .addHelpText('after', COMMON_HELP)
    .addHelpText('after', formatExitCodes(name));
}

function toOptions(
  { environment, version, terminal }: ProgramDeps,
  flags: Flags,
  workload: string | undefined,
): CommandOptions & { readonly selection: Selection } {
  return {
    kubeconfigPath: flags.kubeconfig,
    controllerNamespace: flags.controllerNamespace,
    environment,
    version,
    terminal,
    overrides: parseOverrides(flags.set ?? []),
    selection: parseSelection({
      ...(flags.namespace !== undefined && { namespace: flags.namespace }),
      ...(workload !== undefined && { workload }),
    }),
  };
}

/** For commands that write nothing. */
function addOverrides(command: Command): Command {
  const collect = (text: string, all: readonly string[]): readonly string[] => [...all, text];
  const what =
    'a setting other than that of the controller, to see what it would do; may be given several times';
  return command.option('--set <key=value>', what, collect, []);
}

function addPlan(program: Command, deps: ProgramDeps): void {
  addOverrides(addCommand(program, 'plan'))
    .summary('Says what would happen to which workload, and why.')
    .description(
      'Prints what the controller would do to which workload now, and why. Writes nothing: not in the cluster, not in a ' +
        'registry. Copies and sources are looked up with the credentials in $DOCKER_CONFIG; regctl is not needed.',
    )
    .addOption(createOutputOption(['table', 'json']))
    .action(async (workload: string | undefined, flags: Flags & { readonly output: 'table' | 'json' }) => {
      const options = { ...toOptions(deps, flags, workload), output: flags.output };
      deps.onDone(await plan(options));
    });
}

interface RestoreFlags extends Flags {
  readonly output: 'table' | 'json';
  readonly dryRun: boolean;
  readonly yes: boolean;
}

function addRestore(program: Command, deps: ProgramDeps): void {
  addCommand(program, 'restore')
    .summary('Puts the images back that the user wrote.')
    .description(
      'Puts the images back that the user wrote, exactly as they were, and takes our annotations off: of all workloads, ' +
        'excluded ones too, of a namespace, or of one workload. At most MAX_CONCURRENT_ROLLOUTS roll at the same time. ' +
        'Refuses while the controller would swap again. The output json is for --dry-run.',
    )
    .option('--dry-run', 'print what would be put back, and change nothing', false)
    .option('-y, --yes', 'do not ask', false)
    .addOption(createOutputOption(['table', 'json']))
    .action(async (workload: string | undefined, { output, dryRun, yes, ...flags }: RestoreFlags) => {
      const options = { ...toOptions(deps, flags, workload), output, dryRun, yes };
      deps.onDone(await restore(options, deps.createStopSignal()));
    });
}

function addMap(program: Command, deps: ProgramDeps): void {
  addOverrides(addCommand(program, 'map'))
    .summary('Says which copy belongs to which image, also as mirror configuration for nodes.')
    .description(
      'Prints which copy belongs to which image in use, as a table, as JSON, or as configuration that makes nodes ask the ' +
        'backup first: hosts.toml of containerd, registries.conf of CRI-O. Asks the API server only, and writes nothing.',
    )
    .addOption(createOutputOption(['table', 'json', 'containerd', 'cri-o']))
    .action(async (workload: string | undefined, flags: Flags & { readonly output: MapOutput }) => {
      deps.onDone(await map({ ...toOptions(deps, flags, workload), output: flags.output }));
    });
}

function addRun(program: Command, deps: ProgramDeps): Command {
  const command = program
    .command('run', { isDefault: true })
    .description('Runs the controller until it is stopped. This is what happens without a command.')
    .addHelpText('after', RUN_HELP);
  return addRunFlags(command).action(async (flags: RunFlags) => {
    const { environment, version } = deps;
    const options = { ...parseRunFlags(flags), environment, version, log: createLog() };
    deps.onDone(await run(options, deps.createStopSignal()));
  });
}

/** Every command ends by telling its exit code. */
export function createProgram(deps: ProgramDeps): Command {
  const program = new Command('k8s-backup-image-registry-controller')
    .description(
      'Backs up the images that a Kubernetes cluster runs: copies the images of Deployments and DaemonSets to a ' +
        'backup registry and, once a copy is proven to be there, points the pod template at it.',
    )
    .version(deps.version)
    .exitOverride();
  const runCommand = addRun(program, deps);
  addPlan(program, deps);
  addRestore(program, deps);
  addMap(program, deps);
  return program.addHelpText(
    'after',
    () => `
Without a command it is run. ${runCommand.helpInformation()}${RUN_HELP}`,
  );
}
