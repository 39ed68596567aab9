import type { Logger } from 'pino';

import { WriteDeniedError } from '../../errors.ts';
import { keepsStuckPods } from '../../workloads/rollout.ts';
import type { EventRecorder, WorkloadClient } from '../ports.ts';
import { type StuckPodFacts, planStuckPods, tellFreed } from '../decide/pods/stuck-pods.ts';

/** Gives pods that wait in vain the images of today's template. A pod that is gone by now was replaced by somebody. */
export async function freeStuckPods(
  deps: {
    readonly client: Pick<WorkloadClient, 'patchPod'>;
    readonly events: EventRecorder;
    readonly log: Pick<Logger, 'warn'>;
  },
  facts: StuckPodFacts,
  signal: AbortSignal,
): Promise<void> {
  for (const patch of keepsStuckPods(facts.workload) ? planStuckPods(facts) : []) {
    try {
      await deps.client.patchPod(facts.workload, patch, signal);
      deps.events.record(facts.workload, tellFreed(patch));
    } catch (err) {
      if (!(err instanceof WriteDeniedError)) {
        throw err;
      }
      // The workload itself may still be helped.
      const { kind, namespace, name } = facts.workload;
      deps.log.warn({ workload: { kind, namespace, name }, pod: patch.name, err }, 'stuck pod not freed');
    }
  }
}
