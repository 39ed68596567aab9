import { pino } from 'pino';

import { systemClock } from '../../clock.ts';
import type { Connection } from '../../kubernetes/connection/api-client.ts';
import { createWorkloadClient } from '../../kubernetes/workloads/workload-client.ts';
import { preview } from '../../reconcile/preview/preview.ts';
import { NO_WATCHED_PODS } from '../../reconcile/workload/watched-pods.ts';
import { formatWorkloadKey } from '../../workloads/kinds.ts';
import { limitSlots } from '../../workloads/too-large.ts';
import { findExclusion } from '../../workloads/scope.ts';
import {
  type CommandOptions,
  fetchSettings,
  findController,
  listWorkloads,
  readNamespacePolicies,
  withConnection,
} from '../cluster.ts';
import { type Selection, selectWorkloads } from '../selection.ts';
import { formatJson, formatTable } from '../text-table.ts';
import { toRegistrySettings } from '../../runtime/loops/copy-loop.ts';
import { createControllerRegistry } from '../../runtime/controller-registry.ts';
import { createScope, findKinds } from '../../settings/scope.ts';
import { fetchPods } from './fetch-pods.ts';
import { createPlanProgress } from './plan-progress.ts';
import { type PlanRow, toExcludedRow, toPlanRow } from './plan-row.ts';

export interface PlanOptions extends CommandOptions {
  readonly selection: Selection;
  readonly output: 'table' | 'json';
}

/** Fewer workloads than these have their pods listed each by itself. */
const FEWEST_FOR_ALL_PODS = 10;

async function planRows(connection: Connection, options: PlanOptions): Promise<readonly PlanRow[]> {
  const { terminal } = options;
  terminal.show('reading the workloads');
  const settings = await fetchSettings(connection, options);
  const scope = createScope(settings, findController(options));
  const policies = await readNamespacePolicies(connection, options);
  // All of them, whatever is selected: they share the rollout budget.
  const workloads = await listWorkloads(connection, { kinds: findKinds(settings) });
  const chosen = selectWorkloads(workloads, options.selection);
  const all = workloads.filter((workload) => findExclusion(workload, scope) === undefined);
  const inScope = new Set(all);
  const selected = chosen.filter((workload) => inScope.has(workload)).map(limitSlots);
  const problems: string[] = [];
  const registry = createControllerRegistry({
    environment: options.environment,
    clock: systemClock,
    settings: () => toRegistrySettings(settings),
    onProblem: (problem) => problems.push(problem),
  });
  const client = createWorkloadClient({
    connection,
    clock: systemClock,
    assertMayWrite: () => {
      throw new TypeError('a plan writes nothing');
    },
  });
  const nowMs = (): number => systemClock.nowMs();
  try {
    const previews = await preview(
      {
        workloads: { findNamespacePolicy: (namespace) => policies.get(namespace) },
        pods: selected.length < FEWEST_FOR_ALL_PODS ? NO_WATCHED_PODS : await fetchPods(connection),
        client,
        registry,
        settings,
        log: pino({ enabled: false }),
        nowMs,
        onProgress: createPlanProgress({ terminal, workloads: selected.length, nowMs }),
      },
      { all: all.map(limitSlots), selected },
      new AbortController().signal,
    );
    const rows = new Map(previews.map((one) => [formatWorkloadKey(one.facts.workload), toPlanRow(one)]));
    return chosen.map(
      (workload) =>
        rows.get(formatWorkloadKey(workload)) ??
        toExcludedRow(workload, findExclusion(workload, scope) ?? ''),
    );
  } finally {
    registry.close();
    for (const problem of problems) {
      await terminal.say(`Registry problem: ${problem}`);
    }
  }
}

function countActions(rows: readonly PlanRow[]): string {
  const counts = new Map<string, number>();
  for (const { action } of rows) {
    counts.set(action, (counts.get(action) ?? 0) + 1);
  }
  const parts = [...counts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([action, number]) => `${number} ${action}`);
  return `${rows.length} workload${rows.length === 1 ? '' : 's'}${parts.length > 0 ? `: ${parts.join(', ')}` : ''}`;
}

function formatRows(rows: readonly PlanRow[]): string {
  const header = ['NAMESPACE', 'WORKLOAD', 'ACTION', 'WHY'];
  const cells = rows.map(({ namespace, kind, name, action, why }) => [
    namespace,
    `${kind.toLowerCase()}/${name}`,
    action,
    why,
  ]);
  return `${formatTable(header, cells)}\n${countActions(rows)}\n`;
}

/**
 * Prints what the controller would do to which workload now, and why. Writes nothing anywhere.
 *
 * @throws {UsageError} when the settings cannot be used.
 * @throws {ApiError} when the API server cannot be asked, or does not let itself be asked.
 */
export async function plan(options: PlanOptions): Promise<number> {
  const { terminal, output } = options;
  try {
    const rows = await withConnection(options, (connection) => planRows(connection, options));
    await terminal.print(output === 'json' ? formatJson({ workloads: rows }) : formatRows(rows));
    return 0;
  } finally {
    // A failure is told by others.
    terminal.show('');
  }
}
