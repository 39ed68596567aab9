import { keepNewest } from '../../keep-newest.ts';
import type { Pod, PodContainer } from '../../workloads/workload.ts';
import { findWorkloadOfPod } from './pod-maker.ts';
import { projectPod } from './pod-projection.ts';

/** Those that have ended say nothing of what runs, and there may be thousands. */
export const ALL_PODS = {
  path: '/api/v1/pods',
  query: { fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' },
} as const;

/** With the key of the workload that has made it. */
export interface WatchedPod extends Pod {
  readonly workloadKey: string;
}

/** Texts of images that pods of several workloads have: as many as a large cluster, 2 MiB of them. */
const MOST_TEXTS = 8_192;
const LONGEST_SHARED = 256;

function isSameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** True when nothing of a pod that is read of it has changed. */
export function isSamePod(a: Pod, b: Pod): boolean {
  return a === b || isSameJson(a, b);
}

/** A pod that says the same as another one of its workload in texts and objects of that one. */
function shareWith(pod: WatchedPod, other: WatchedPod): WatchedPod {
  const by = other.made?.by;
  return {
    ...pod,
    workloadKey: other.workloadKey,
    ...(pod.made && by && isSameJson(pod.made.by, by) && { made: { ...pod.made, by } }),
    ...(pod.template === other.template && other.template !== undefined && { template: other.template }),
    ...(isSameJson(pod.containers, other.containers) && { containers: other.containers }),
  };
}

/** The pods of each workload. Of what they say alike, as their images, one is kept. */
export class PodIndex {
  readonly #byWorkload = new Map<string, Map<string, WatchedPod>>();
  readonly #texts = new Map<string, string>();
  /** A list has the pods of one workload one after the other, before any of them is added. */
  #lastRead: WatchedPod | undefined;

  /** What is kept of a raw pod; undefined for one that no workload has made. */
  read(raw: unknown): WatchedPod | undefined {
    const workloadKey = findWorkloadOfPod(raw);
    const pod = workloadKey === undefined ? undefined : projectPod(raw);
    if (workloadKey === undefined || !pod) {
      return undefined;
    }
    const other = this.#findOther(workloadKey);
    this.#lastRead = other
      ? shareWith({ ...pod, workloadKey }, other)
      : { ...pod, workloadKey, containers: pod.containers.map((one) => this.#shareTexts(one)) };
    return this.#lastRead;
  }

  listOf(workloadKey: string): readonly Pod[] {
    return [...(this.#byWorkload.get(workloadKey)?.values() ?? [])];
  }

  add(pod: WatchedPod): void {
    const { workloadKey, name } = pod;
    const pods = this.#byWorkload.get(workloadKey) ?? new Map<string, WatchedPod>();
    this.#byWorkload.set(workloadKey, pods.set(name, pod));
  }

  remove({ workloadKey, name }: WatchedPod): void {
    const pods = this.#byWorkload.get(workloadKey);
    pods?.delete(name);
    if (pods?.size === 0) {
      this.#byWorkload.delete(workloadKey);
    }
  }

  #findOther(workloadKey: string): WatchedPod | undefined {
    const [known] = this.#byWorkload.get(workloadKey)?.values() ?? [];
    return known ?? (this.#lastRead?.workloadKey === workloadKey ? this.#lastRead : undefined);
  }

  #shareTexts(container: PodContainer): PodContainer {
    const { image, imageId } = container;
    return { ...container, image: this.#shareText(image), imageId: this.#shareText(imageId) };
  }

  #shareText(text: string): string {
    if (text.length > LONGEST_SHARED) {
      return text;
    }
    const known = this.#texts.get(text) ?? text;
    keepNewest(this.#texts, [known, known], MOST_TEXTS);
    return known;
  }
}
