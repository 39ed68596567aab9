import type { Logger } from 'pino';

import type { Workload } from '../../workloads/workload.ts';
import { fingerprintOf } from '../memory/fingerprint.ts';
import type { WorkloadMemory } from '../memory/workload-memory.ts';

/** Says what would be done for a workload: once, and again when it is something else. */
export function logObservation(
  {
    log,
    memory,
  }: { readonly log: Pick<Logger, 'info'>; readonly memory: Pick<WorkloadMemory, 'observation'> },
  { kind, namespace, name }: Workload,
  would: readonly string[],
): void {
  const observation = fingerprintOf(would.join('; '));
  if (would.length > 0 && observation !== memory.observation) {
    log.info({ workload: { kind, namespace, name }, would }, 'MODE is observe, nothing is done');
  }
  memory.observation = observation;
}
