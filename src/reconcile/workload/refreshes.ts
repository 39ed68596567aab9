import { readRefresh } from '../../workloads/user-annotations.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { CopyRequest } from '../copies/copy-state.ts';
import type { CopyStore } from '../copies/copy-store.ts';
import { LastSeen } from './last-seen.ts';

/** Looks at copies again when the user of a workload asks for it, with a changed annotation `refresh`. */
export class Refreshes {
  readonly #copies: Pick<CopyStore, 'recheck'>;
  readonly #heeded = new LastSeen();

  constructor(copies: Pick<CopyStore, 'recheck'>) {
    this.#copies = copies;
  }

  /** The first value that this process sees counts as changed: that costs a look that is due anyway. */
  heed(key: string, workload: Workload, requests: readonly CopyRequest[]): void {
    if (this.#heeded.isNew(key, readRefresh(workload.annotations))) {
      for (const request of requests) {
        this.#copies.recheck(request);
      }
    }
  }

  forget(key: string): void {
    this.#heeded.isNew(key, undefined);
  }
}
