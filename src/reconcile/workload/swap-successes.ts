import { formatWorkloadKey } from '../../workloads/kinds.ts';
import type { SwapRecord } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';

interface Success {
  readonly uid: string;
  readonly swappedAtMs: number;
  readonly seenAtMs: number;
}

/** Which swaps were seen to succeed: their pods run the copies. In memory: after a restart, pods are looked at once more. */
export class SwapSuccesses {
  readonly #seen = new Map<string, Success>();

  note(workload: Workload, { swappedAtMs }: SwapRecord, seenAtMs: number): void {
    this.#seen.set(formatWorkloadKey(workload), { uid: workload.uid, swappedAtMs, seenAtMs });
  }

  /** When the last swap of a workload was first seen to have succeeded; undefined: not yet. */
  findSeenAtMs(workload: Workload, { swappedAtMs }: SwapRecord): number | undefined {
    const success = this.#seen.get(formatWorkloadKey(workload));
    const isIt = success?.uid === workload.uid && success.swappedAtMs === swappedAtMs;
    return isIt ? success.seenAtMs : undefined;
  }

  forget(key: string): void {
    this.#seen.delete(key);
  }
}
