import { systemClock } from '../../clock.ts';
import { UsageError } from '../../errors.ts';
import type { Connection } from '../../kubernetes/connection/api-client.ts';
import { createLeaseStore } from '../../kubernetes/election/lease.ts';
import { createWorkloadClient } from '../../kubernetes/workloads/workload-client.ts';
import { toPlainText } from '../../plain-text.ts';
import { type RestoreSettings, parseRestoreSettings } from '../../settings/settings.ts';
import type { WorkloadName } from '../../workloads/kinds.ts';
import {
  type CommandOptions,
  fetchConfigMap,
  fetchWorkload,
  listWorkloads,
  namespaceOf,
  withConnection,
} from '../cluster.ts';
import { type Selection, selectWorkloads } from '../selection.ts';
import { formatJson, formatTable } from '../text-table.ts';
import { LEASE_NAME } from '../../runtime/identity.ts';
import { findActiveHolder } from './lease-watch.ts';
import { type RestoreCounts, restoreAll } from './restore-all.ts';
import { type RestoreOutcome, restoreOne } from './restore-one.ts';
import { type RestoreRow, describeRestore, toRestoreRow } from './restore-row.ts';

export interface RestoreOptions extends CommandOptions {
  readonly selection: Selection;
  /** Of a dry run. */
  readonly output: 'table' | 'json';
  readonly dryRun: boolean;
  readonly yes: boolean;
}

const LEASE_TIMEOUT_MS = 5_000;
const LEASE_POLL_MS = 500;
const POLL_MS = 2_000;

function formatWorkload({ kind, name }: RestoreRow): string {
  return `${kind.toLowerCase()}/${name}`;
}

function formatRows(rows: readonly RestoreRow[]): string {
  const cells = rows.map((row) => [row.namespace, formatWorkload(row), describeRestore(row)]);
  return formatTable(['NAMESPACE', 'WORKLOAD', 'PUT BACK'], cells);
}

function count(rows: readonly RestoreRow[]): string {
  return `${rows.length} workload${rows.length === 1 ? '' : 's'}`;
}

/** @throws {UsageError} when a controller would swap again what is put back. */
async function refuseRival(
  connection: Connection,
  options: RestoreOptions,
  signal: AbortSignal,
): Promise<void> {
  const namespace = namespaceOf(options);
  const leases = createLeaseStore({ connection, namespace, name: LEASE_NAME, timeoutMs: LEASE_TIMEOUT_MS });
  const holder = await findActiveHolder({ leases, pollMs: LEASE_POLL_MS }, signal);
  if (holder !== undefined) {
    throw new UsageError(
      `the controller is running (${toPlainText(holder)} holds the Lease in ${namespace}), and would swap again what ` +
        'is put back. Set MODE=restore in its ConfigMap and it puts everything back itself; or set MODE=observe, or ' +
        'scale it down to 0, and try again',
    );
  }
}

/** @throws {UsageError} when there is nobody to ask. */
async function confirm(rows: readonly RestoreRow[], { yes, terminal }: RestoreOptions): Promise<boolean> {
  if (yes) {
    return true;
  }
  if (!terminal.isInteractive) {
    throw new UsageError(
      `the originals of ${count(rows)} would be put back, and there is no terminal to ask on: ` +
        'say --yes, or look first with --dry-run',
    );
  }
  await terminal.print(formatRows(rows));
  return terminal.ask(`\nPut the originals of ${count(rows)} back? Their pods are replaced.`);
}

function formatOutcome(row: RestoreRow, { result, detail }: RestoreOutcome): string {
  const what = result === 'restored' ? describeRestore(row) : undefined;
  const text = [what, detail].filter((part) => part !== undefined).join('; ');
  const line = `${row.namespace} ${formatWorkload(row)} ${result}${text === '' ? '' : `: ${text}`}`;
  return `${toPlainText(line, 600)}\n`;
}

function formatCounts(counts: RestoreCounts): string {
  const parts = Object.entries(counts).filter(([result, number]) => number > 0 || result === 'restored');
  return `\n${parts.map(([result, number]) => `${number} ${result}`).join(', ')}\n`;
}

async function carryOut(
  connection: Connection,
  job: {
    readonly rows: readonly RestoreRow[];
    readonly settings: RestoreSettings;
    readonly options: RestoreOptions;
  },
  signal: AbortSignal,
): Promise<number> {
  const { rows, settings, options } = job;
  const { terminal } = options;
  const deps = {
    client: createWorkloadClient({ connection, clock: systemClock, assertMayWrite: () => undefined }),
    read: (workload: WorkloadName) => fetchWorkload(connection, workload),
    clock: systemClock,
    rolloutTimeoutMs: settings.ROLLOUT_TIMEOUT,
    pollMs: POLL_MS,
  };
  const counts = await restoreAll({
    rows,
    maxRollouts: settings.MAX_CONCURRENT_ROLLOUTS,
    restoreOne: (row) => restoreOne(deps, row, signal),
    onDone: (row, outcome) => terminal.print(formatOutcome(row, outcome)),
    signal,
  });
  await terminal.print(formatCounts(counts));
  if (counts['not tried'] > 0 && !signal.aborted) {
    await terminal.say(
      'Stopped: several workloads in a row did not come up with their originals. See their events.',
    );
  }
  return counts.failed + counts['not rolled out'] + counts['not tried'] > 0 ? 1 : 0;
}

async function restoreIn(
  connection: Connection,
  options: RestoreOptions,
  signal: AbortSignal,
): Promise<number> {
  const { selection, terminal } = options;
  const configMap = await fetchConfigMap(connection, namespaceOf(options));
  const settings = parseRestoreSettings(configMap?.data ?? {}, options.environment);
  const { workload: one } = selection;
  const workloads = await listWorkloads(connection, { ...selection, ...(one && { kinds: [one.kind] }) });
  const rows = selectWorkloads(workloads, selection).flatMap((workload) => toRestoreRow(workload) ?? []);
  if (options.dryRun) {
    const text = `${formatRows(rows)}\n${count(rows)} would be restored\n`;
    await terminal.print(options.output === 'json' ? formatJson({ workloads: rows }) : text);
    return 0;
  }
  if (rows.length === 0) {
    await terminal.print('Nothing to restore: no workload has a mark of the controller.\n');
    return 0;
  }
  if (settings.MODE === 'swap') {
    await refuseRival(connection, options, signal);
  }
  if (!(await confirm(rows, options))) {
    await terminal.say('Nothing was changed.');
    return 1;
  }
  return carryOut(connection, { rows, settings, options }, signal);
}

/**
 * Puts back what the user wrote in every selected workload that was swapped, in scope or not, and takes our annotations
 * off. Returns the exit code: 1 when not everything is back and rolled out.
 *
 * @throws {UsageError} when it must not begin.
 * @throws {ApiError} when the API server cannot be asked.
 */
export async function restore(options: RestoreOptions, signal: AbortSignal): Promise<number> {
  return withConnection(options, (connection) => restoreIn(connection, options, signal));
}
