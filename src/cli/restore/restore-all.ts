import PQueue from 'p-queue';

import type { WorkloadName } from '../../workloads/kinds.ts';
import type { RestoreOutcome } from './restore-one.ts';

/** So many rollouts in a row that do not end are no coincidence: the sources may be gone. */
const MAX_STUCK_IN_A_ROW = 3;

export interface RestoreAllOptions<Row extends WorkloadName> {
  readonly rows: readonly Row[];
  readonly maxRollouts: number;
  readonly restoreOne: (row: Row) => Promise<RestoreOutcome>;
  /** Told of every workload when it is done. */
  readonly onDone: (row: Row, outcome: RestoreOutcome) => Promise<void>;
  readonly signal: AbortSignal;
}

export type RestoreCounts = Readonly<Record<RestoreOutcome['result'] | 'not tried', number>>;

/** Restores one workload after the other, no more than so many rolling out at the same time. */
export async function restoreAll<Row extends WorkloadName>(
  options: RestoreAllOptions<Row>,
): Promise<RestoreCounts> {
  const { rows, maxRollouts, restoreOne, onDone, signal } = options;
  const counts = { restored: 0, 'not rolled out': 0, failed: 0, 'nothing left to do': 0, 'not tried': 0 };
  let stuckInARow = 0;
  const queue = new PQueue({ concurrency: maxRollouts });
  await queue.addAll(
    rows.map((row) => async () => {
      if (signal.aborted || stuckInARow >= MAX_STUCK_IN_A_ROW) {
        counts['not tried'] += 1;
        return;
      }
      const outcome = await restoreOne(row);
      counts[outcome.result] += 1;
      stuckInARow = outcome.result === 'not rolled out' ? stuckInARow + 1 : 0;
      await onDone(row, outcome);
    }),
  );
  return counts;
}
