import { formatWorkloadKey } from '../../workloads/kinds.ts';
import { lacksPods } from '../../workloads/rollout.ts';
import type { Workload } from '../../workloads/workload.ts';

/**
 * Since when workloads have had fewer pods than they want, as far as this process has seen: the API server does not
 * tell. A pod that somebody deletes is missing for a moment, one that is refused for good.
 */
export class MissingPods {
  readonly #nowMs: () => number;
  readonly #since = new Map<string, { readonly uid: string; readonly sinceMs: number }>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** To be told of every change of a workload. Undefined while it has all its pods. */
  observe(workload: Workload): number | undefined {
    const key = formatWorkloadKey(workload);
    const { uid } = workload;
    if (!lacksPods(workload)) {
      this.#since.delete(key);
      return undefined;
    }
    const known = this.#since.get(key);
    const sinceMs = known?.uid === uid ? known.sinceMs : this.#nowMs();
    this.#since.set(key, { uid, sinceMs });
    return sinceMs;
  }

  forget(key: string): void {
    this.#since.delete(key);
  }
}
