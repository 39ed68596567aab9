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
  const perSecond = /^-?\d+(\.\d+)?$/u.test(kubeApiQps) ? Number(kubeApiQps) : 0;
  if (perSecond === 0) {
    throw new UsageError('--kube-api-qps must be a number above 0, or -1 for no limit');
  }
  if (perSecond < 0) {
    if (kubeApiBurst !== undefined) {
      throw new UsageError('--kube-api-burst means nothing without --kube-api-qps');
    }
    return undefined;
  }
  return {
    perSecond,
    burst: kubeApiBurst === undefined ? Math.ceil(2 * perSecond) : parseBurst(kubeApiBurst, perSecond),
  };
}

function parseBurst(text: string, perSecond: number): number {
  const burst = /^\d+$/u.test(text) ? Number(text) : 0;
  if (burst < 1 || burst < perSecond) {
    throw new UsageError('--kube-api-burst must be a whole number, not below --kube-api-qps');
  }
  return burst;
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
