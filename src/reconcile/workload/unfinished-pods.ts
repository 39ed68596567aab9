import { formatWorkloadKey } from '../../workloads/kinds.ts';
import { isRolledOut } from '../../workloads/rollout.ts';
import type { Pod, Workload } from '../../workloads/workload.ts';
import type { WorkloadClient } from '../ports.ts';

/** A rollout changes its status many times a second; a pull takes longer to fail. */
const LOOK_EVERY_MS = 2_000;

interface KnownPods {
  readonly uid: string;
  readonly atMs: number;
  readonly pods: readonly Pod[];
}

/** The pods that show why a workload is not rolled out. Nobody is asked about one that is. */
export class UnfinishedPods {
  readonly #client: Pick<WorkloadClient, 'listPods'>;
  readonly #nowMs: () => number;
  readonly #known = new Map<string, KnownPods>();

  constructor(client: Pick<WorkloadClient, 'listPods'>, nowMs: () => number) {
    this.#client = client;
    this.#nowMs = nowMs;
  }

  /** With `mayBeOld`, as they were up to two seconds ago. */
  async find(
    workload: Workload,
    options: { readonly mayBeOld: boolean },
    signal: AbortSignal,
  ): Promise<readonly Pod[]> {
    const key = formatWorkloadKey(workload);
    if (isRolledOut(workload)) {
      this.#known.delete(key);
      return [];
    }
    const known = this.#known.get(key);
    const atMs = this.#nowMs();
    if (options.mayBeOld && known?.uid === workload.uid && atMs - known.atMs < LOOK_EVERY_MS) {
      return known.pods;
    }
    const pods = await this.#client.listPods(workload, signal);
    this.#known.set(key, { uid: workload.uid, atMs, pods });
    return pods;
  }

  forget(key: string): void {
    this.#known.delete(key);
  }
}
