import type { Pod, PodContainer } from '../../../workloads/workload.ts';

const CRASHES: ReadonlySet<string> = new Set([
  'CrashLoopBackOff',
  'RunContainerError',
  'CreateContainerError',
  'CreateContainerConfigError',
]);
/** One that has crashed less often may have waited for something else that was starting. */
const FEWEST_RESTARTS = 3;

/** Whether a container ends again and again, or cannot even begin. */
export function isCrashing({ waiting, restarts = 0 }: PodContainer): boolean {
  const isBegun = waiting?.reason === 'CrashLoopBackOff';
  return CRASHES.has(waiting?.reason ?? '') && (!isBegun || restarts >= FEWEST_RESTARTS);
}

/**
 * Since when a pod has not been ready; undefined for one that is, or is on its way out. One that crashes is ready for a
 * moment at each start: it has not been since it got its node.
 */
export function findUnreadySinceMs(pod: Pod): number | undefined {
  const { createdAtMs, scheduledAtMs = 0, replacedAtMs = 0, unreadySinceMs = 0 } = pod;
  if (pod.ready || pod.leaving) {
    return undefined;
  }
  const startedAtMs = Math.max(createdAtMs, scheduledAtMs, replacedAtMs);
  return pod.containers.some(isCrashing) ? startedAtMs : Math.max(startedAtMs, unreadySinceMs);
}
