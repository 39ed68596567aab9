import type { Pod } from '../../workloads/workload.ts';

/** Pods as they were listed for one generation of a workload. */
interface RunningPods {
  readonly generation: number;
  readonly pods: readonly Pod[];
}

/** Pods as they were at a time. */
interface UnfinishedPods {
  readonly atMs: number;
  readonly pods: readonly Pod[];
}

/** Most workloads have nothing to tell. */
export const NOTHING_TOLD: ReadonlySet<string> = new Set();

/**
 * All that this process remembers of one workload. What is lost with a restart costs a look, or tells an event once more;
 * what must not be lost is written down on the workload itself.
 */
export interface WorkloadMemory {
  /** Another workload of the same name has a memory of its own. */
  readonly uid: string;
  /** It has something of ours in its annotations, and is not being deleted. */
  isRecorded: boolean;
  /** So it is recorded, but too large for us to take that back. */
  isLeftAlone: boolean;
  /** Since when it has had fewer pods than it wants: the API server does not tell. */
  missingSinceMs?: number | undefined;
  /** How often it was seen to roll out, and how often that was when it was last looked at: a quick rollout begins and ends between two looks. */
  rolloutSightings: number;
  notedSightings: number;
  /** Whether it rolled out when it was seen last, and which version of it that was. */
  lastSeen?: {
    readonly generation: number;
    readonly resourceVersion: string;
    readonly isRollingOut: boolean;
  };
  /** The value of the annotation `refresh` that was acted on last. */
  refresh?: string | undefined;
  /** Fingerprints of the notes of the events that hold now, and were told. */
  toldNotes: ReadonlySet<string>;
  /** A fingerprint of what MODE=observe has said last. */
  observation?: string | undefined;
  /** The API server has refused its swap, as it was then: a fingerprint of that. */
  denial?: { readonly wanted: string; readonly untilMs: number } | undefined;
  /** The swap that was made at a time was seen to have succeeded. */
  seenSwap?: { readonly swappedAtMs: number; readonly seenAtMs: number } | undefined;
  runningPods?: RunningPods | undefined;
  unfinishedPods?: UnfinishedPods | undefined;
  /** Since when it has had more pods than are watched, while it rolls out. */
  unseenPodsSinceMs?: number | undefined;
  /** What pods of its newest template are called by, as its ReplicaSets have told of one generation. */
  newestTemplates?: { readonly generation: number; readonly templates: ReadonlySet<string> };
  /** Annotations of ours, as they were last written or seen, of a kind whose revisions do not keep them. */
  lastRecord?: Readonly<Record<string, string>> | undefined;
  /** By uid, until when a pod that waits in vain is left alone, because admission does not let it have other images. */
  deniedPods?: Map<string, number>;
  /** The watch of its pods was seen to be old: until then they are listed. */
  listPodsUntilMs?: number;
}
