import type { LiveSettings } from '../settings/live-settings.ts';
import type { HealthChecks } from '../telemetry/http-server.ts';
import type { Lease } from './lease.ts';
import type { Loops } from './loops/loops.ts';
import type { PodWatch } from './watches/pod-watch.ts';
import type { WorkloadWatch } from './watches/workload-watch.ts';

/** Watches are renewed every ten minutes at the latest. */
const WATCH_STUCK_MS = 15 * 60_000;
/** A call about a copy that has not ended by then will not: it was told to, and left behind. */
const OVERDUE_STUCK_MS = 5 * 60_000;
/** A pass over a workload makes a handful of requests, each with a deadline of its own. */
const PASS_STUCK_MS = 10 * 60_000;
/** Of a Lease that lasts 15 s, with the tolerance of the Kubernetes components. */
const LEASE_STUCK_MS = 35_000;

export interface HealthParts {
  readonly live: LiveSettings;
  readonly workloads: WorkloadWatch;
  readonly pods: Pick<PodWatch, 'isKnown' | 'lastActivityAgeMs'>;
  readonly loops: Loops;
  readonly lease: Pick<Lease, 'renewalAgeMs'>;
}

/** Says which part is stuck. */
export function createLivenessChecks({ workloads, pods, loops, lease }: HealthParts): HealthChecks {
  return {
    watch: () => {
      const ageMs = Math.max(workloads.lastActivityAgeMs(), pods.lastActivityAgeMs());
      return ageMs > WATCH_STUCK_MS ? 'no sign of life' : undefined;
    },
    loop: () => {
      const isStuck = loops.longestPassMs() > PASS_STUCK_MS || loops.longestOverdueMs() > OVERDUE_STUCK_MS;
      return isStuck ? 'a pass does not end' : undefined;
    },
    lease: () => ((lease.renewalAgeMs() ?? 0) > LEASE_STUCK_MS ? 'not renewed' : undefined),
  };
}

/** Says what is still missing before this process could work. */
export function createReadinessChecks({ live, workloads, pods }: HealthParts): HealthChecks {
  return {
    settings: () => (live.isKnown ? undefined : 'not known'),
    watch: () => (workloads.hasSynced() && pods.isKnown() ? undefined : 'not synced'),
  };
}
