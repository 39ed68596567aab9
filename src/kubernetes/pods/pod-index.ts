import type { Pod } from '../../workloads/workload.ts';
import { findWorkloadOfPod } from './pod-maker.ts';
import { projectPod } from './pod-projection.ts';

/** Those that have ended say nothing of what runs, and there may be thousands. */
export const ALL_PODS = {
  path: '/api/v1/pods',
  query: { fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' },
} as const;

/** A pod, and the key of the workload that has made it. */
export interface MadePod {
  readonly workloadKey: string;
  readonly pod: Pod;
}

function isSameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** True when nothing of a pod that is read of it has changed. */
export function isSamePod(a: Pod, b: Pod): boolean {
  return a === b || isSameJson(a, b);
}

/** A pod that says the same as another one in objects of that one. */
function shareWith(pod: Pod, other: Pod): Pod {
  const by = other.made?.by;
  return {
    ...pod,
    ...(pod.made && by && isSameJson(pod.made.by, by) && { made: { ...pod.made, by } }),
    ...(isSameJson(pod.containers, other.containers) && { containers: other.containers }),
  };
}

/** The pods of each workload. Of what they say alike, as their images, one is kept. */
export class PodIndex {
  readonly #byWorkload = new Map<string, Map<string, Pod>>();
  /** A list has the pods of one workload one after the other, before any of them is added. */
  #lastRead: MadePod | undefined;

  /** What is kept of a raw pod; undefined for one that no workload has made. */
  read(raw: unknown): MadePod | undefined {
    const workloadKey = findWorkloadOfPod(raw);
    const pod = workloadKey === undefined ? undefined : projectPod(raw);
    if (workloadKey === undefined || !pod) {
      return undefined;
    }
    const other = this.#findOther(workloadKey);
    this.#lastRead = { workloadKey, pod: other ? shareWith(pod, other) : pod };
    return this.#lastRead;
  }

  listOf(workloadKey: string): readonly Pod[] {
    return [...(this.#byWorkload.get(workloadKey)?.values() ?? [])];
  }

  add({ workloadKey, pod }: MadePod): void {
    const pods = this.#byWorkload.get(workloadKey) ?? new Map<string, Pod>();
    this.#byWorkload.set(workloadKey, pods.set(pod.name, pod));
  }

  remove({ workloadKey, pod }: MadePod): void {
    const pods = this.#byWorkload.get(workloadKey);
    pods?.delete(pod.name);
    if (pods?.size === 0) {
      this.#byWorkload.delete(workloadKey);
    }
  }

  #findOther(workloadKey: string): Pod | undefined {
    const [known] = this.#byWorkload.get(workloadKey)?.values() ?? [];
    return known ?? (this.#lastRead?.workloadKey === workloadKey ? this.#lastRead.pod : undefined);
  }
}
