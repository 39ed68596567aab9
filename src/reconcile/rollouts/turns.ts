import type { Workload } from '../../workloads/workload.ts';
import type { RolloutWait } from '../decide/rollout-wait.ts';

export interface TurnFacts {
  /** Swapping, in the namespace or everywhere. */
  readonly isStopped: boolean;
  readonly freePermits: number;
  /** A workload of the namespace runs from the backup: its pods can pull there. */
  readonly isNamespaceProven: boolean;
  /** A workload of the namespace rolls out because of a swap. */
  readonly isNamespaceRolling: boolean;
}

/** Undefined: it is this workload's turn. Where nobody has pulled a copy yet, one workload tries it for all. */
export function findRolloutWait(facts: TurnFacts): RolloutWait | undefined {
  if (facts.isStopped) {
    return 'swapping stopped';
  }
  if (facts.freePermits <= 0) {
    return 'too many rollouts';
  }
  return facts.isNamespaceRolling && !facts.isNamespaceProven ? 'first swap of the namespace' : undefined;
}

/** How much a copy that cannot be pulled would cost: the order in which waiting workloads are swapped. */
export const RISKS = ['other pods serve on', 'one pod', 'a pod of every node', 'no pod serves'] as const;

export type Risk = (typeof RISKS)[number];

export function findRisk({ kind, rollout }: Pick<Workload, 'kind' | 'rollout'>): Risk {
  if (rollout.recreate) {
    return 'no pod serves';
  }
  if (kind === 'DaemonSet') {
    return 'a pod of every node';
  }
  // A StatefulSet ends a pod before it starts the new one.
  return rollout.desired >= 2 && kind !== 'StatefulSet' ? 'other pods serve on' : 'one pod';
}
