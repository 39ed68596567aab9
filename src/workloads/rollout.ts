import type { Workload } from './workload.ts';

/** Why a workload is not swapped now although its copies are there; undefined when it may be. */
export type NotSwappable = 'terminating' | 'paused' | 'scaled to zero' | 'rolling out';

/** A status that is older than the template says nothing about the template. */
function isObserved({ rollout }: Workload): boolean {
  return rollout.observedGeneration >= rollout.generation;
}

/**
 * True when every pod that should run exists, runs the newest template and is available. DaemonSets that
 * update on deletion never report their pods as updated, so for them available ones are enough.
 */
export function isRolledOut(workload: Workload): boolean {
  const { desired, current, updated, available, onDelete } = workload.rollout;
  return (
    isObserved(workload) && current === desired && available === desired && (onDelete || updated === desired)
  );
}

export function whyNotSwappable(workload: Workload): NotSwappable | undefined {
  const { terminating, paused, desired } = workload.rollout;
  if (terminating) {
    return 'terminating';
  }
  if (paused) {
    return 'paused';
  }
  if (isObserved(workload) && desired === 0) {
    return 'scaled to zero';
  }
  return isRolledOut(workload) ? undefined : 'rolling out';
}
