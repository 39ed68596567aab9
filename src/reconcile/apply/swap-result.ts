import type { WorkloadKind } from '../../workloads/kinds.ts';

/** Told of what has become of a workload, for the metrics. */
export type OnSwapped = (
  kind: WorkloadKind,
  result: 'swapped' | 'rescued' | 'undone' | 'denied' | 'restored',
) => void;
