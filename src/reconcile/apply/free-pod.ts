import type { Logger } from 'pino';

import { WriteDeniedError } from '../../errors.ts';
import type { Workload } from '../../workloads/workload.ts';
import { planFreedEvent, planNotFreedEvent } from '../decide/pods/stuck-pods.ts';
import { explainChangedImage } from '../decide/swaps/changed-image.ts';
import { isDeniedPod, noteDeniedPod } from '../memory/denied-pods.ts';
import type { WorkloadMemory } from '../memory/workload-memory.ts';
import type { EventRecorder, PodPatch, WorkloadClient } from '../ports.ts';

export interface FreePodDeps {
  readonly client: Pick<WorkloadClient, 'dryRunPatch' | 'patchPod'>;
  readonly events: EventRecorder;
  readonly log: Pick<Logger, 'warn'>;
  readonly nowMs: () => number;
}

interface StuckPod {
  readonly workload: Workload;
  readonly memory: Pick<WorkloadMemory, 'deniedPods'>;
  readonly patch: PodPatch;
}

/**
 * Policies on pods are mostly asked when one is created, and never again: so it is asked what admission would make of a new
 * pod of the template.
 *
 * @throws {WriteDeniedError} when it would refuse that, or give it other images.
 */
async function askAdmission(
  { client }: FreePodDeps,
  { workload, patch }: StuckPod,
  signal: AbortSignal,
): Promise<void> {
  const preview = await client.dryRunPatch(workload, { slots: [], annotations: {} }, signal);
  const change = explainChangedImage(patch, preview, []);
  if (change !== undefined) {
    throw new WriteDeniedError(change);
  }
}

/**
 * Gives a pod that waits in vain the images of today's template, if admission lets a pod have them. One that may not have them
 * is left alone for an hour.
 *
 * @throws {ConflictError} when it is gone by now, because somebody has replaced it.
 */
export async function freePod(deps: FreePodDeps, stuck: StuckPod, signal: AbortSignal): Promise<void> {
  const { workload, memory, patch } = stuck;
  if (isDeniedPod(memory, patch.uid, deps.nowMs())) {
    return;
  }
  try {
    await askAdmission(deps, stuck, signal);
    await deps.client.patchPod(workload, patch, signal);
    deps.events.record(workload, planFreedEvent(patch));
  } catch (err) {
    if (!(err instanceof WriteDeniedError)) {
      throw err;
    }
    // The workload itself, and its other pods, may still be helped.
    noteDeniedPod(memory, patch.uid, deps.nowMs());
    const { kind, namespace, name } = workload;
    deps.log.warn({ workload: { kind, namespace, name }, pod: patch.name, err }, 'stuck pod not freed');
    deps.events.record(workload, planNotFreedEvent(patch, err.message));
  }
}
