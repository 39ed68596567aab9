import { imagesOf } from '../backed-up.ts';
import { followObjects } from '../follow.ts';
import type { Kube } from '../kube.ts';
import type { Pod, Workload } from '../objects.ts';
import { waitingReasons } from '../rollout.ts';

type Times = Map<string, number>;

/** When things were first seen, by the name of the workload. */
export interface SwapTimes {
  /** A node says that it cannot pull. */
  readonly failedAtMs: ReadonlyMap<string, number>;
  /** The template has other images than at first. */
  readonly changedAtMs: ReadonlyMap<string, number>;
  /** After that, it has its first ones again. */
  readonly backAtMs: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

/** Follows the Deployments of a namespace and their pods, as somebody who sits before the screen. */
export function followSwaps(kube: Kube, namespace: string): SwapTimes {
  const [failedAtMs, changedAtMs, backAtMs] = [1, 2, 3].map(() => new Map<string, number>()) as [
    Times,
    Times,
    Times,
  ];
  const first = new Map<string, string>();
  const stopping = new AbortController();
  const note = (times: Times, name: string): void => {
    times.set(name, times.get(name) ?? Date.now());
  };
  const pods = followObjects<Pod>(
    { kube, query: { apiVersion: 'v1', kind: 'Pod', namespace } },
    {
      onObject(pod) {
        const isFailing = waitingReasons(pod).some(({ reason }) => reason === 'ErrImagePull');
        const [owner] = pod.metadata.ownerReferences ?? [];
        if (isFailing && owner) {
          note(failedAtMs, owner.name.slice(0, owner.name.lastIndexOf('-')));
        }
      },
      onGone: () => undefined,
    },
    stopping.signal,
  );
  const workloads = followObjects<Workload>(
    { kube, query: { apiVersion: 'apps/v1', kind: 'Deployment', namespace } },
    {
      onObject(workload) {
        const { name } = workload.metadata;
        const images = imagesOf(workload).join();
        first.set(name, first.get(name) ?? images);
        if (images !== first.get(name)) {
          note(changedAtMs, name);
        } else if (changedAtMs.has(name)) {
          note(backAtMs, name);
        }
      },
      onGone: () => undefined,
    },
    stopping.signal,
  );
  return {
    failedAtMs,
    changedAtMs,
    backAtMs,
    async stop() {
      stopping.abort();
      await Promise.allSettled([pods, workloads]);
    },
  };
}

/** Of every workload that has seen both, the time between. */
export function formatTimes(
  from: ReadonlyMap<string, number>,
  until: ReadonlyMap<string, number>,
  what: string,
): readonly Readonly<Record<string, string>>[] {
  return [...from].flatMap(([workload, sinceMs]) => {
    const untilMs = until.get(workload);
    return untilMs === undefined
      ? []
      : [{ workload, [what]: `${((untilMs - sinceMs) / 1_000).toFixed(2)} s` }];
  });
}
