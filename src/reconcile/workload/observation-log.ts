import type { Logger } from 'pino';

import { parseWorkloadKey } from '../../workloads/kinds.ts';
import { LastSeen } from './last-seen.ts';

/** Says what would be done for a workload: once, and again when it is something else. */
export class ObservationLog {
  readonly #log: Pick<Logger, 'info'>;
  readonly #told = new LastSeen();

  constructor(log: Pick<Logger, 'info'>) {
    this.#log = log;
  }

  /** Undefined: nothing is to be observed. */
  tell(key: string, observation: readonly string[] | undefined): void {
    const text = observation?.join('; ');
    if (this.#told.isNew(key, text) && text) {
      this.#log.info(
        { workload: parseWorkloadKey(key), would: observation },
        'MODE is observe, nothing is done',
      );
    }
  }

  forget(key: string): void {
    this.tell(key, undefined);
  }
}
