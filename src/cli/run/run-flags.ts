import { type Command, Option } from 'commander';

import { UsageError } from '../../errors.ts';
import type { RunOptions } from '../../runtime/run.ts';
import { parseBindAddress } from '../../telemetry/http-server.ts';
import { createKubeconfigOption } from '../kubeconfig-option.ts';

export interface RunFlags {
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

export function addRunFlags(command: Command): Command {
  return command
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

/** @throws {UsageError} for an address that is none. */
export function parseRunFlags(
  flags: RunFlags,
): Pick<RunOptions, 'kubeconfigPath' | 'leaderElect' | 'metricsAddress' | 'healthAddress'> {
  return {
    kubeconfigPath: flags.kubeconfig,
    leaderElect: flags.leaderElect,
    metricsAddress: parseBindAddress('--metrics-bind-address', flags.metricsBindAddress),
    healthAddress: parseBindAddress('--health-probe-bind-address', flags.healthProbeBindAddress),
  };
}
