import { setTimeout as sleep } from 'node:timers/promises';

import type { ControlPlane } from '../control-plane.ts';
import type { CuttingProxy } from './cutting-proxy.ts';
import { compactEtcd } from './etcd.ts';
import type { Subject } from './subject.ts';
import { waitFor } from '../wait-for.ts';

/** Something that goes wrong and is over when the promise is kept. */
export interface Happening<T> {
  readonly fault: string;
  /** Of the controller: one where the Lease may have run out meanwhile. */
  readonly mostRestarts: number;
  readonly happen: (place: T) => Promise<void>;
}

export function freezeApiServer(seconds: number): Happening<ControlPlane> {
  return {
    fault: `API server frozen for ${seconds} s`,
    mostRestarts: seconds < 10 ? 0 : 1,
    happen: async ({ apiServer }) => {
      apiServer.kill('SIGSTOP');
      await sleep(seconds * 1_000);
      apiServer.kill('SIGCONT');
    },
  };
}

export const SERVER_FAULTS: readonly Happening<ControlPlane>[] = [
  {
    fault: 'API server restarted',
    mostRestarts: 1,
    happen: async ({ apiServer }) => {
      await apiServer.stop();
      await apiServer.start();
    },
  },
  {
    fault: 'etcd restarted',
    mostRestarts: 1,
    happen: async ({ etcd }) => {
      await etcd.stop();
      await etcd.start();
    },
  },
  freezeApiServer(5),
  freezeApiServer(30),
];

/** The way of a subject to its API server. */
export interface Way {
  readonly controlPlane: ControlPlane;
  readonly proxy: CuttingProxy;
  readonly subject: Subject;
}

export const WAY_FAULTS: readonly Happening<Way>[] = [
  {
    fault: 'watches cut in the middle of an event',
    mostRestarts: 0,
    happen: async ({ proxy, subject }) => {
      proxy.cutWatchesInEvent();
      await subject.churn();
    },
  },
  {
    fault: 'a line in every watch that is no JSON',
    mostRestarts: 0,
    happen: async ({ proxy, subject }) => {
      proxy.sendGarbage();
      await subject.churn();
    },
  },
  {
    fault: 'etcd compacted during a disconnect',
    mostRestarts: 1,
    happen: async ({ controlPlane, proxy, subject }) => {
      await proxy.goDown();
      await subject.churn();
      await compactEtcd(controlPlane.etcdUrl);
      // It remembers recent changes itself.
      await controlPlane.apiServer.stop();
      await controlPlane.apiServer.start();
      await proxy.comeBack();
    },
  },
  {
    fault: 'everything answered with 429, again and again',
    mostRestarts: 0,
    happen: async ({ proxy }) => {
      const sinceMs = performance.now();
      const end = proxy.refuse({ status: 429, retryAfterSeconds: 1 });
      proxy.cutWatches();
      await waitFor(() => proxy.mostRefusals() >= 6, { what: 'six tries of one thing' });
      end();
      // Two clients go this way, so one of them has tried three times, and was asked to wait for a second in between.
      const elapsedMs = performance.now() - sinceMs;
      if (elapsedMs < 1_900) {
        throw new Error(`six tries in ${elapsedMs} ms of what wants to be left alone for a second each time`);
      }
    },
  },
];
