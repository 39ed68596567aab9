import type { Logger } from 'pino';

import { bearsRecord } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';

/** Which workloads bear something of ours, and whether all of it has been taken back. */
export class RecordedWorkloads {
  readonly #log: Pick<Logger, 'info'>;
  readonly #keys = new Set<string>();
  #isRestoring = false;
  #isTold = false;

  constructor(log: Pick<Logger, 'info'>) {
    this.#log = log;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** To be told of every change of a workload, and with undefined of its end. */
  observe(key: string, workload: Workload | undefined): void {
    // What is being deleted needs no restore.
    if (workload && !workload.rollout.terminating && bearsRecord(workload.annotations)) {
      this.#keys.add(key);
    } else {
      this.#keys.delete(key);
    }
    this.#tellWhenDone();
  }

  /** Everything is about to be observed again. */
  clear(): void {
    this.#keys.clear();
  }

  /** From now on, while it restores: says once when nothing is left to be restored. All workloads must be known. */
  watch(isRestoring: boolean): void {
    if (isRestoring && !this.#isRestoring) {
      this.#log.info({ workloads: this.size }, 'restoring all workloads');
    }
    this.#isTold &&= isRestoring;
    this.#isRestoring = isRestoring;
    this.#tellWhenDone();
  }

  #tellWhenDone(): void {
    if (this.#isRestoring && !this.#isTold && this.size === 0) {
      this.#isTold = true;
      this.#log.info('all restored: no workload bears anything of this controller any more');
    }
  }
}
