import type { Logger } from 'pino';

/** Says in the log that all workloads are being restored, and once when nothing is left to be restored. */
export class RestoreProgress {
  readonly #log: Pick<Logger, 'info'>;
  #isRestoring = false;
  #isTold = false;

  constructor(log: Pick<Logger, 'info'>) {
    this.#log = log;
  }

  /** `recorded`: of how many workloads something is not taken back yet. While it restores, all workloads must be known. */
  update(isRestoring: boolean, recorded: number): void {
    if (isRestoring && !this.#isRestoring) {
      this.#log.info({ workloads: recorded }, 'restoring all workloads');
    }
    this.#isRestoring = isRestoring;
    this.#isTold &&= isRestoring;
    if (isRestoring && !this.#isTold && recorded === 0) {
      this.#isTold = true;
      this.#log.info('all restored: no workload has anything of this controller any more');
    }
  }
}
