import type { Pod } from '../../workloads/workload.ts';

const MOST_PODS = 20;
/** As JSON. Ten pods of two containers fit. */
const LONGEST = 8_192;

/**
 * Whether pods are remembered for the next look. Thousands of workloads may wait at the same time: where there are many pods,
 * they are listed again.
 */
export function areWorthKeeping(pods: readonly Pod[]): boolean {
  return pods.length <= MOST_PODS && JSON.stringify(pods).length <= LONGEST;
}
