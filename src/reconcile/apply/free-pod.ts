import type { Logger } from 'pino';

import { WriteDeniedError } from '../../errors.ts';
import type { Workload } from '../../workloads/workload.ts';
import { planFreedEvent } from '../decide/pods/stuck-pods.ts';
import type { EventRecorder, PodPatch, WorkloadClient } from '../ports.ts';

/**
 * Gives a pod that waits in vain the images of today's template.
 *
 * @throws {ConflictError} when it is gone by now, because somebody has replaced it.
 */
export async function freePod(
  deps: {
    readonly client: Pick<WorkloadClient, 'patchPod'>;
    readonly events: EventRecorder;
    readonly log: Pick<Logger, 'warn'>;
  },
  { workload, patch }: { readonly workload: Workload; readonly patch: PodPatch },
  signal: AbortSignal,
): Promise<void> {
  try {
    await deps.client.patchPod(workload, patch, signal);
    deps.events.record(workload, planFreedEvent(patch));
  } catch (err) {
    if (!(err instanceof WriteDeniedError)) {
      throw err;
    }
    // The workload itself, and its other pods, may still be helped.
    const { kind, namespace, name } = workload;
    deps.log.warn({ workload: { kind, namespace, name }, pod: patch.name, err }, 'stuck pod not freed');
  }
}
