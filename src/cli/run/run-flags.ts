import { type Command, Option } from 'commander';

import { UsageError } from '../../errors.ts';
import type { RunOptions } from '../../runtime/run.ts';
import type { RequestRate } from '../../kubernetes/connection/request-turns.ts';
import { parseBindAddress } from '../../telemetry/http-server.ts';
import { createKubeconfigOption } from '../kubeconfig-option.ts';

export interface RunFlags {
  readonly kubeconfig?: string;
  readonly leaderElect: boolean;
  readonly metricsBindAddress: string;
  readonly healthProbeBindAddress: string;
  readonly kubeApiQps: string;
  readonly kubeApiBurst?: string;
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
    )
    .addOption(
      new Option(
        '--kube-api-qps <number>',
        "requests to the API server per second at most; -1 for no limit but the API server's own",
      ).default('-1'),
    )
    .addOption(
      new Option(
        '--kube-api-burst <number>',
        'requests at once at most, where --kube-api-qps sets a limit; default: twice as many as per second',
      ),
    );
}

/** As in the kubelet and in other controllers: a negative rate is none. */
function parseRequestRate({ kubeApiQps, kubeApiBurst }: RunFlags): RequestRate | undefined {
  const perSecond = parseNumber(kubeApiQps);
  if (perSecond === undefined || perSecond === 0) {
    throw new UsageError('--kube-api-qps must be a number above 0, or -1 for no limit');
  }
  const burst = kubeApiBurst === undefined ? Math.ceil(2 * perSecond) : parseNumber(kubeApiBurst);
  if (burst === undefined || (kubeApiBurst !== undefined && (burst < 1 || !Number.isInteger(burst)))) {
    throw new UsageError('--kube-api-burst must be a whole number above 0');
  }
  if (perSecond < 0) {
    return undefined;
  }
  if (burst < perSecond) {
    throw new UsageError('--kube-api-burst must not be below --kube-api-qps');
  }
  return { perSecond, burst };
}

function parseNumber(text: string): number | undefined {
  return /^-?\d{1,6}(\.\d{1,3})?$/u.test(text) ? Number(text) : undefined;
}

/** @throws {UsageError} for an address or a number that is none. */
export function parseRunFlags(
  flags: RunFlags,
): Pick<RunOptions, 'kubeconfigPath' | 'leaderElect' | 'metricsAddress' | 'healthAddress' | 'requestRate'> {
  return {
    kubeconfigPath: flags.kubeconfig,
    leaderElect: flags.leaderElect,
    metricsAddress: parseBindAddress('--metrics-bind-address', flags.metricsBindAddress),
    healthAddress: parseBindAddress('--health-probe-bind-address', flags.healthProbeBindAddress),
    requestRate: parseRequestRate(flags),
  };
}
