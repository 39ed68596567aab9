import { formatWorkloadKey } from '../../workloads/kinds.ts';
import type { SwapRecord } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';

/** Which swaps were seen to succeed: their pods run the copies. In memory: after a restart, pods are looked at once more. */
export class SwapSuccesses {
  readonly #seen = new Map<string, string>();

  note(workload: Workload, record: SwapRecord): void {
    this.#seen.set(formatWorkloadKey(workload), describe(workload, record));
  }

  has(workload: Workload, record: SwapRecord): boolean {
    return this.#seen.get(formatWorkloadKey(workload)) === describe(workload, record);
  }

  forget(key: string): void {
    this.#seen.delete(key);
  }
}

function describe({ uid }: Workload, { swappedAtMs }: SwapRecord): string {
  return `${uid} ${swappedAtMs}`;
}
