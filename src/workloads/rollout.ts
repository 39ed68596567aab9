import { KINDS } from './kinds.ts';
import type { Workload } from './workload.ts';

/** Why a workload is not swapped now although its copies are there; undefined when it may be. */
export type NotSwappable = 'terminating' | 'paused' | 'scaled to zero' | 'rolling out' | 'rolled out by hand';

/** A status that is older than the template says nothing about the template. */
function isObserved({ rollout }: Workload): boolean {
  return rollout.observedGeneration >= rollout.generation;
}

/** True when fewer pods exist than should. */
export function lacksPods(workload: Workload): boolean {
  const { current, desired } = workload.rollout;
  return isObserved(workload) && current < desired;
}

/**
 * True when every pod that should run exists, runs the newest template and is available. Of workloads that
 * update on deletion not all pods are ever updated, so for them available ones are enough. A CronJob is, while no Job of
 * it runs.
 */
export function isRolledOut(workload: Workload): boolean {
  const { desired, current, updated, available, onDelete } = workload.rollout;
  return (
    isObserved(workload) && current === desired && available === desired && (onDelete || updated === desired)
  );
}

/** False for a DaemonSet whose old pods nobody has deleted yet, and for what has no pods. */
export function runsTemplate(workload: Workload): boolean {
  const { desired, updated } = workload.rollout;
  return isRolledOut(workload) && desired > 0 && updated === desired;
}

export function whyNotSwappable(workload: Workload): NotSwappable | undefined {
  const { terminating, paused, desired, onDelete } = workload.rollout;
  if (terminating) {
    return 'terminating';
  }
  if (!KINDS[workload.kind].rollsOut) {
    return undefined;
  }
  if (paused) {
    return 'paused';
  }
  if (isObserved(workload) && desired === 0) {
    return 'scaled to zero';
  }
  // Its owner says which pods get a new template: a swap would become part of that.
  if (workload.kind === 'StatefulSet' && onDelete) {
    return 'rolled out by hand';
  }
  return isRolledOut(workload) ? undefined : 'rolling out';
}

/**
 * True when nobody replaces a pod that never started once the template is another one. Where pods are replaced on
 * deletion, that is said of each pod.
 */
export function keepsStuckPods({ kind, rollout }: Workload): boolean {
  return KINDS[kind].alwaysKeepsStuckPods || rollout.onDelete;
}
