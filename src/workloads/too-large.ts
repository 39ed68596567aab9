import { hasRecord } from './record.ts';
import { MOST_SLOTS } from './size-limits.ts';
import type { Workload } from './workload.ts';

/**
 * What is kept of a workload that is too large: who it is, and why nothing else is known of it. Without slots and a
 * record, nothing is ever copied or changed for it.
 */
export function toLeftAlone(workload: Workload, tooLarge: string): Workload {
  const { kind, namespace, name, uid, resourceVersion, rollout } = workload;
  const { refused: _, ...progress } = rollout;
  return {
    kind,
    namespace,
    name,
    uid,
    resourceVersion,
    slots: [],
    annotations: {},
    pullSecrets: [],
    podSelector: '',
    rollout: progress,
    tooLarge,
    ...((workload.mayRunCopies === true || hasRecord(workload.annotations)) && { mayRunCopies: true }),
  };
}

/** The workload, or what is kept of one with too many images. */
export function limitSlots(workload: Workload): Workload {
  const { length } = workload.slots;
  return length <= MOST_SLOTS
    ? workload
    : toLeftAlone(workload, `its template has ${length} images, and ${MOST_SLOTS} is the limit`);
}
