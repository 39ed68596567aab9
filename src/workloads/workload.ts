import type { CopyOnlyReason } from './copy-only.ts';
import type { ImageOwner } from './image-owner.ts';
import type { WorkloadName } from './kinds.ts';

/** Where in a pod template a slot is. */
export type SlotPlace = 'containers' | 'initContainers' | 'volumes';

/** One place in a pod template that names an image. */
export interface Slot {
  readonly place: SlotPlace;
  readonly name: string;
  /** As the user, or a swap, wrote it: hostile until parsed. */
  readonly image: string;
  readonly pullPolicy?: string;
}

/** What the controller keeps of a workload. */
export interface Workload extends WorkloadName {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly slots: readonly Slot[];
  /** Only those of our domain. */
  readonly annotations: Readonly<Record<string, string>>;
  /**
   * The controller that owns the workload, as `Kind/name`. By default such a workload is copied, not swapped: an annotation
   * `policy` counts more, and neither an undo nor a restore asks.
   */
  readonly owner?: string;
  /** Why the workload is not swapped unless the user insists; undefined when nothing speaks against it. */
  readonly copyOnly?: CopyOnlyReason;
  /** Who has set the images, newest first; absent when nobody is known to have. */
  readonly imageOwners?: readonly ImageOwner[];
  /** Place of our own entry in `managedFields`, while it owns an image. */
  readonly ownFieldsAt?: number;
  /** Names in `imagePullSecrets` of the template. */
  readonly pullSecrets: readonly string[];
  /** Label selector of the pods, in query syntax. */
  readonly podSelector: string;
  /**
   * What pods of the newest template have as `Pod.template`, or, of a DaemonSet, as `Pod.templateGeneration`; where the
   * workload itself says so.
   */
  readonly newestTemplate?: string;
  /** When somebody other than this controller last wrote into the pod template, to the second. */
  readonly templateChangedAtMs?: number;
  /** A Deployment whose ReplicaSets go with the template that they were made for: nothing says what it was before. */
  readonly keepsNoRevisions?: boolean;
  /** The only CPU architecture that its pods may run on (`arm64`), by their node selector. */
  readonly architecture?: string;
  readonly rollout: Rollout;
  /**
   * Why it is left alone, as a clause: it, or its namespace, is larger than this controller keeps in memory. Slots, annotations
   * and pull secrets are not known then.
   */
  readonly tooLarge?: string;
  /** It is left alone, and has something of ours in its annotations. */
  readonly mayRunCopies?: boolean;
}

/** A pod template that a Deployment has or had, with the annotations that it bore then: one of its ReplicaSets. */
export interface FormerTemplate {
  /** What its pods have as `Pod.template`. */
  readonly hash?: string;
  readonly slots: readonly Slot[];
  /** Only those of our domain. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** Progress of the pods towards the template, over all kinds. */
export interface Rollout {
  readonly generation: number;
  readonly observedGeneration: number;
  /** Pods that should run. */
  readonly desired: number;
  /** Pods that exist, whatever their template. */
  readonly current: number;
  /** Pods of the newest template. */
  readonly updated: number;
  readonly available: number;
  readonly paused: boolean;
  readonly terminating: boolean;
  /** Some pods are replaced only when somebody deletes them, or lowers the partition of a StatefulSet. */
  readonly onDelete: boolean;
  /** Deployments that end all old pods before they start new ones. */
  readonly recreate: boolean;
  /** The kind says that all pods of this very template were available once; undefined where it says nothing. */
  readonly completed?: boolean;
  /** The API server refuses to create pods, for a quota or by a policy; Deployments say so. */
  readonly refused?: { readonly sinceMs: number; readonly message: string };
  /** Start of the newest run of a CronJob. */
  readonly startedAtMs?: number;
}

/** What the controller reads of a pod. */
export interface Pod {
  readonly name: string;
  /** Of a pod that a controller has made. */
  readonly made?: { readonly uid: string; readonly by: { readonly uid: string; readonly name: string } };
  /** Which template it was made of, as the controller that has made it calls it; undefined when it does not say. */
  readonly template?: string;
  /** Of a pod of a DaemonSet, the number that its template had then. */
  readonly templateGeneration?: string;
  readonly createdAtMs: number;
  /** When this controller last changed an image of it in place. For a while the kubelet still speaks of the one before. */
  readonly replacedAtMs?: number;
  readonly ready: boolean;
  /** Since when it is not, as far as its node has told. */
  readonly unreadySinceMs?: number;
  /** It is on its way out, or has ended: it says nothing about the template of today. */
  readonly leaving?: boolean;
  /** When it got its node. */
  readonly scheduledAtMs?: number;
  /** Names of its `imagePullSecrets`, those that admission has added as well; undefined when it has none. */
  readonly pullSecrets?: readonly string[];
  readonly containers: readonly PodContainer[];
  /** Images that it mounts. */
  readonly volumes?: readonly { readonly name: string; readonly image: string }[];
  /** Why it has no node, in the words of the scheduler. */
  readonly unscheduled?: string;
  /** Why it is not ready, in the words of the kubelet. */
  readonly unready?: string;
}

export interface PodContainer {
  readonly name: string;
  /** Image text of the pod's own spec. */
  readonly image: string;
  /** Digest that runs, as the kubelet reports it; empty until pulled. */
  readonly imageId: string;
  /** Why the container does not start, in the words of the kubelet. */
  readonly waiting?: { readonly reason: string; readonly message: string };
  /** How often it was started again. */
  readonly restarts?: number;
}
