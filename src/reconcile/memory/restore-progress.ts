import type { Logger } from 'pino';

export interface RestoreCounts {
  /** Workloads of which something is not taken back yet. */
  readonly recorded: number;
  /** Those of them that are too large to be known, so that only the command `restore` puts them back. */
  readonly leftAlone: number;
}

/** Says in the log that all workloads are being restored, and once when nothing is left to be restored, or nothing that it can restore. */
export class RestoreProgress {
  readonly #log: Pick<Logger, 'info'>;
  #isRestoring = false;
  #isTold = false;
  /** The most that were told of. */
  #toldLeftAlone = 0;

  constructor(log: Pick<Logger, 'info'>) {
    this.#log = log;
  }

  /** While it restores, all workloads must be known. */
  update(isRestoring: boolean, { recorded, leftAlone }: RestoreCounts): void {
    if (isRestoring && !this.#isRestoring) {
      this.#log.info({ workloads: recorded }, 'restoring all workloads');
    }
    this.#isRestoring = isRestoring;
    if (!isRestoring) {
      this.#isTold = false;
      this.#toldLeftAlone = 0;
    } else if (recorded === 0) {
      this.#tellDone();
    } else if (recorded === leftAlone) {
      this.#tellLeftAlone(leftAlone);
    }
  }

  #tellDone(): void {
    if (!this.#isTold) {
      this.#isTold = true;
      this.#log.info('all restored: no workload has anything of this controller any more');
    }
  }

  #tellLeftAlone(workloads: number): void {
    if (workloads > this.#toldLeftAlone) {
      this.#toldLeftAlone = workloads;
      this.#log.info(
        { workloads },
        'not restored: workloads that are left alone as too large (event TooLarge); the command `restore` puts those back',
      );
    }
  }
}
