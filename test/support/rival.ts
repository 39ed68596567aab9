import { setInterval } from 'node:timers/promises';

import { referenceTo, type Kube } from './kube.ts';
import type { Pod, Workload } from './objects.ts';

export interface Rival {
  /** How often it has applied. */
  readonly rounds: () => number;
  stop(): Promise<void>;
}

/** Applies the same manifest again and again, as a GitOps tool that corrects drift: server-side, and by force. */
export function startRival(
  kube: Kube,
  { manifest, manager, everyMs }: { manifest: Workload; manager: string; everyMs: number },
): Rival {
  const { signal, stop } = createStop();
  let rounds = 0;
  async function work(): Promise<void> {
    for await (const _ of setInterval(everyMs, undefined, { signal })) {
      await kube.patch(referenceTo(manifest), manifest, {
        type: 'apply',
        fieldManager: manager,
        force: true,
      });
      rounds += 1;
    }
  }
  const working = unlessAborted(work(), signal);
  return { rounds: () => rounds, stop: () => stop(working) };
}

export interface PodCount {
  readonly names: ReadonlySet<string>;
  stop(): Promise<void>;
}

/** Counts every pod of a namespace that is created from now on, however short it lives. */
export async function countPods(kube: Kube, namespace: string): Promise<PodCount> {
  const { signal, stop } = createStop();
  const names = new Set<string>();
  const query = { apiVersion: 'v1', kind: 'Pod', namespace };
  const { resourceVersion } = (await kube.listPage(query)).metadata;
  async function watch(): Promise<void> {
    for await (const event of kube.watch<Pod>({ ...query, resourceVersion }, signal)) {
      if (event.type === 'ADDED') {
        names.add(event.object.metadata.name);
      }
    }
  }
  const watching = unlessAborted(watch(), signal);
  return { names, stop: () => stop(watching) };
}

function createStop(): { signal: AbortSignal; stop: (work: Promise<void>) => Promise<void> } {
  const abort = new AbortController();
  return {
    signal: abort.signal,
    async stop(work) {
      abort.abort();
      await work;
    },
  };
}

async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!signal.aborted) {
      throw error;
    }
  }
}
