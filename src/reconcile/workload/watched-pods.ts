import { KINDS } from '../../workloads/kinds.ts';
import { isRolledOut } from '../../workloads/rollout.ts';
import type { Pod, Workload } from '../../workloads/workload.ts';
import type { PodStore } from '../ports.ts';

/** Pods are what is listed, whatever is watched. */
export const NO_WATCHED_PODS: PodStore = { listOf: () => undefined };

/**
 * Whether pods that are watched are provably not those that the workload speaks of: two watches are never equally new. That
 * a workload is rolled out says nothing about pods of an older template that are still seen, and of a template that has come
 * back they are older, too: those are listed then, which is right, and seldom. While it rolls out, its status is as often the
 * one that is behind: `findUnfinishedPods` gives them time.
 */
export function areBehind(workload: Workload, pods: readonly Pod[]): boolean {
  if (!KINDS[workload.kind].rollsOut || !isRolledOut(workload)) {
    return false;
  }
  const ready = pods.filter((pod) => pod.ready && pod.leaving !== true);
  const { templateChangedAtMs = 0, rollout } = workload;
  return (
    ready.length < rollout.available || ready.some(({ createdAtMs }) => createdAtMs < templateChangedAtMs)
  );
}

/** The watched pods of a workload; undefined where they have to be listed. */
export function findWatchedPods(
  { pods }: { readonly pods: PodStore },
  workload: Workload,
): readonly Pod[] | undefined {
  const watched = pods.listOf(workload);
  return watched && !areBehind(workload, watched) ? watched : undefined;
}
