import type { Logger } from 'pino';

import type { Clock } from '../../clock.ts';
import type { Connection } from '../../kubernetes/connection/api-client.ts';
import { projectWorkload } from '../../kubernetes/workloads/projection.ts';
import { WORKLOAD_SHARE } from '../../kubernetes/workloads/workload-share.ts';
import { createReflector } from '../../kubernetes/reflector/reflector.ts';
import { KINDS, type WorkloadKind } from '../../workloads/kinds.ts';
import { limitSlots } from '../../workloads/too-large.ts';
import type { Workload } from '../../workloads/workload.ts';

/** In a row: a role may be granted a moment after the first question, as when everything is installed at once. */
export const REFUSALS = 3;

export interface KindWatchOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onChange: (workload: Workload, now: Workload | undefined) => void;
  /** Told when the first list is complete, and when the server refuses the list for good or does so no longer. */
  readonly onProgress: () => void;
}

export interface KindWatch {
  get(key: string): Workload | undefined;
  list(): readonly Workload[];
  hasSynced(): boolean;
  /** True when nothing can be expected before somebody grants the permission. */
  isForbidden(): boolean;
  lastActivityAgeMs(): number;
  /** Nothing is told any more. */
  stop(): Promise<void>;
}

/** Watches the workloads of one kind, from now on until it is stopped. */
export function startKindWatch(kind: WorkloadKind, options: KindWatchOptions): KindWatch {
  const { connection, clock, log, onChange, onProgress } = options;
  const stopping = new AbortController();
  let refusals = 0;
  const reflector = createReflector({
    connection,
    path: `${KINDS[kind].path}/${KINDS[kind].plural}`,
    resource: KINDS[kind].plural,
    project: (object) => {
      const workload = projectWorkload(kind, object);
      return workload && limitSlots(workload);
    },
    share: WORKLOAD_SHARE,
    onChange: (_, now, before) => {
      const workload = now ?? before;
      if (workload && !stopping.signal.aborted) {
        onChange(workload, now);
      }
    },
    onForbidden: (count) => {
      refusals = count;
      onProgress();
    },
    log,
    clock,
    random: Math.random,
  });
  const ended = reflector.run(stopping.signal);
  void reflector.synced.then(onProgress);
  return {
    get: (key) => reflector.get(key),
    list: () => reflector.list(),
    hasSynced: () => reflector.hasSynced(),
    isForbidden: () => refusals >= REFUSALS,
    lastActivityAgeMs: () => reflector.lastActivityAgeMs(),
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}
