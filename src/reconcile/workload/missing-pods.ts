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

  /** To be told of every change of a workload, and with undefined of its end. */
  observe(key: string, workload: Workload | undefined): void {
    if (!workload || !lacksPods(workload)) {
      this.#since.delete(key);
      return;
    }
    const { uid } = workload;
    const known = this.#since.get(key);
    this.#since.set(key, known?.uid === uid ? known : { uid, sinceMs: this.#nowMs() });
  }

  /** Undefined while it has all its pods. */
  findSinceMs(key: string): number | undefined {
    return this.#since.get(key)?.sinceMs;
  }
}
