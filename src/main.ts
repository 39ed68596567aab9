import { Command, CommanderError, Option } from 'commander';

import packageJson from '../package.json' with { type: 'json' };
import { type ProgramDeps, addCommands, createKubeconfigOption } from './cli/program.ts';
import { createTerminal } from './cli/terminal.ts';
import { run } from './runtime/run.ts';
import { ControllerError, UsageError } from './errors.ts';
import { parseBindAddress } from './telemetry/http-server.ts';
import { createLog } from './telemetry/log.ts';

const USAGE_EXIT_CODE = 2;

interface Flags {
  readonly kubeconfig?: string;
  readonly leaderElect: boolean;
  readonly metricsBindAddress: string;
  readonly healthProbeBindAddress: string;
}

/** Go's notation for flags, as the users of every controller manager know it: `--leader-elect`, `=true`, `=false`. */
function parseGoBoolean(flag: string, text: string | boolean): boolean {
  if (typeof text === 'boolean' || text === 'true' || text === 'false') {
    return text === true || text === 'true';
  }
  throw new UsageError(`${flag} must be true or false`);
}

function addRun(program: Command): Command {
  return program
    .command('run', { isDefault: true })
    .description('Runs the controller until it is stopped. This is what happens without a command.')
    .addOption(createKubeconfigOption())
    .addOption(
      new Option(
        '--leader-elect [bool]',
        'work only while holding the Lease, so that one of several replicas is active; needed with more than one',
      )
        .default(false, 'off')
        .argParser((text) => parseGoBoolean('--leader-elect', text)),
    )
    .addOption(
      new Option('--metrics-bind-address <address>', 'where /metrics is served; 0 for nowhere').default(
        ':8080',
      ),
    )
    .addOption(
      new Option(
        '--health-probe-bind-address <address>',
        'where /healthz and /readyz are served; 0 for nowhere',
      ).default(':8081'),
    );
}

/** Every command ends by telling its exit code. */
function createProgram(deps: ProgramDeps): Command {
  const program = new Command('k8s-backup-image-registry-controller')
    .description(
      'Backs up the images that a Kubernetes cluster runs: copies the images of Deployments and DaemonSets to a ' +
        'backup registry and, once a copy is proven to be there, points the pod template at it.',
    )
    .version(packageJson.version)
    .exitOverride();
  const runCommand = addRun(program).action(async (flags: Flags) => {
    deps.onDone(await runController(flags, deps.createStopSignal()));
  });
  addCommands(program, deps);
  return program.addHelpText(
    'after',
    () => `
Without a command it is run. ${runCommand.helpInformation()}
Settings come from the ConfigMap k8s-backup-image-registry-controller-configuration in the namespace that
this runs in ($POD_NAMESPACE; outside a cluster: backup-image-registry), and below it from environment
variables of the same names. An edit of the ConfigMap takes effect without a restart. The only required
one is REGISTRY_PREFIX, where the copies go:

  REGISTRY_PREFIX=registry.example.com/backup npm start -- --kubeconfig ~/.kube/config

Credentials for registries come from config.json in the folder $DOCKER_CONFIG. The copies are made by
regctl, which has to be in PATH. README explains every setting.

Exit codes: 0 done, or stopped by SIGTERM or SIGINT; 1 failed or lost the Lease; 2 wrong flag or setting.`,
  );
}

/** Aborts at the first SIGTERM or SIGINT; the second ends the process at once. */
function createStopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) {
        process.exit(1);
      }
      stop.abort();
    });
  }
  return stop.signal;
}

function runController(flags: Flags, signal: AbortSignal): Promise<number> {
  return run(
    {
      kubeconfigPath: flags.kubeconfig,
      leaderElect: flags.leaderElect,
      metricsAddress: parseBindAddress('--metrics-bind-address', flags.metricsBindAddress),
      healthAddress: parseBindAddress('--health-probe-bind-address', flags.healthProbeBindAddress),
      environment: process.env,
      version: packageJson.version,
      log: createLog(),
    },
    signal,
  );
}

async function main(): Promise<number> {
  let exitCode = 0;
  const program = createProgram({
    environment: process.env,
    version: packageJson.version,
    terminal: createTerminal(process),
    createStopSignal,
    onDone: (code) => {
      exitCode = code;
    },
  });
  await program.parseAsync();
  return exitCode;
}

/** Undefined for a bug, which needs its stack. */
function findExitCode(error: unknown): number | undefined {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? 0 : USAGE_EXIT_CODE;
  }
  if (error instanceof ControllerError) {
    process.stderr.write(`${error.message}\n`);
    return error instanceof UsageError ? USAGE_EXIT_CODE : 1;
  }
  // Whoever reads the output has seen enough, as `head` has.
  return error instanceof Error && 'code' in error && error.code === 'EPIPE' ? 0 : undefined;
}

try {
  process.exitCode = await main();
  process.exit();
} catch (error) {
  const exitCode = findExitCode(error);
  if (exitCode === undefined) {
    throw error;
  }
  process.exit(exitCode);
}
