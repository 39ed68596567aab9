import type { Logger } from 'pino';

import type { Clock } from '../../clock.ts';
import type { Connection } from '../../kubernetes/connection/api-client.ts';
import { ALL_PODS, PodIndex, isSamePod } from '../../kubernetes/pods/pod-index.ts';
import { POD_SHARE } from '../../kubernetes/pods/pod-share.ts';
import { type Reflector, createReflector } from '../../kubernetes/reflector/reflector.ts';
import { isPullFailure } from '../../reconcile/decide/pods/pull-failure.ts';
import type { PodStore } from '../../reconcile/ports.ts';
import { formatWorkloadKey } from '../../workloads/kinds.ts';
import type { Pod } from '../../workloads/workload.ts';
import { REFUSALS } from './kind-watch.ts';

export interface PodWatchOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Told of a change of a pod: the key of its workload, and whether the pod cannot pull an image, or could not before. */
type OnPodChange = (workloadKey: string, news: { readonly isOfPull: boolean }) => void;

export interface PodWatch extends PodStore {
  /** From now on, told when a pod has come, gone or changed. */
  listen(onChange: OnPodChange): void;
  run(signal: AbortSignal): Promise<void>;
  /** Settles when all pods are known, or it is clear that they may not be watched. */
  readonly known: Promise<void>;
  isKnown(): boolean;
  lastActivityAgeMs(): number;
}

function cannotPull(pod: Pod | undefined): boolean {
  return pod?.containers.some(isPullFailure) === true;
}

/**
 * The pods of all workloads, kept up to date. Without the right to watch them they are listed instead, one workload at a time
 * when it is looked at, and a pod that cannot start is found some seconds later.
 */
export function createPodWatch({ connection, clock, log }: PodWatchOptions): PodWatch {
  const index = new PodIndex();
  const forbidden = Promise.withResolvers<void>();
  let onChange: OnPodChange = () => undefined;
  let refusals = 0;
  const isForbidden = (): boolean => refusals >= REFUSALS;
  const reflector: Reflector<unknown> = createReflector({
    connection,
    ...ALL_PODS,
    resource: 'pods',
    project: (raw) => index.read(raw),
    share: POD_SHARE,
    onChange: (_, now, before) => {
      const isMoved = before !== undefined && before.workloadKey !== now?.workloadKey;
      if (isMoved) {
        index.remove(before);
      }
      if (now) {
        index.add(now);
      }
      const news = { isOfPull: cannotPull(now) || cannotPull(before) };
      if (isMoved) {
        onChange(before.workloadKey, news);
      }
      if (now && !(before && isSamePod(now, before))) {
        onChange(now.workloadKey, news);
      }
    },
    onForbidden: (count) => {
      refusals = count;
      if (refusals === REFUSALS) {
        log.warn('pods are listed for each workload that is looked at, because they may not be watched');
        forbidden.resolve();
      }
    },
    log,
    clock,
    random: Math.random,
  });
  return {
    listen(handler) {
      onChange = handler;
    },
    run: (signal) => reflector.run(signal),
    known: Promise.race([reflector.synced, forbidden.promise]),
    isKnown: () => reflector.hasSynced() || isForbidden(),
    listOf: (workload) =>
      reflector.hasSynced() && !isForbidden() ? index.listOf(formatWorkloadKey(workload)) : undefined,
    lastActivityAgeMs: () => reflector.lastActivityAgeMs(),
  };
}
