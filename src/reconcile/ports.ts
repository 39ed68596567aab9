import type { AbsentParts, RegistrySide } from '../errors.ts';
import type { Platforms } from '../images/platforms.ts';
import type { Reference } from '../images/reference.ts';
import type { WorkloadName } from '../workloads/kinds.ts';
import type { FormerTemplate, Pod, Slot, Workload } from '../workloads/workload.ts';
import type { ObjectEvent } from './events/object-event.ts';

/** One manifest, for one platform; or an index, with the digests of all manifests and indexes below it, at any depth. */
export type ImageParts =
  | { readonly is: 'manifest' }
  | { readonly is: 'index'; readonly digests: ReadonlySet<string> };

/** What the loop needs from the registries. */
export interface ImageRegistry {
  /**
   * Digest that the registry has for a reference now, with one HEAD; undefined when it has no such manifest.
   *
   * @throws {RegistryError}
   */
  fetchDigest(reference: Reference, side: RegistrySide, signal: AbortSignal): Promise<string | undefined>;
  /**
   * Copies one image, digest preserved; returns once the backup has acknowledged that digest.
   *
   * @throws {IncompleteImageError} when the source does not have all that the image names.
   * @throws {RegistryError}
   */
  copy(job: CopyJob, signal: AbortSignal): Promise<CopyResult>;
  /**
   * Digest of a platform's manifest that the backup does not have, although it has the index that names it; undefined
   * when it has all that are wanted, or the image has only one. Costs a HEAD for each platform, and once a GET.
   *
   * @throws {RegistryError} `Unsupported` when the image is for none of the platforms.
   */
  findMissingPart(
    copy: Reference & { readonly digest: string },
    platforms: Platforms,
    signal: AbortSignal,
  ): Promise<string | undefined>;
  /**
   * What a registry does not have of an index that it has, of the parts for these platforms; undefined when it has everything, or no such index. A HEAD for each
   * part.
   *
   * @throws {RegistryError}
   */
  findAbsentParts(
    image: Reference & { readonly digest: string },
    where: { readonly side: RegistrySide; readonly platforms: Platforms },
    signal: AbortSignal,
  ): Promise<AbsentParts | undefined>;
  /**
   * What an image consists of; undefined when the registry does not have it. Content never changes, so it is read once.
   *
   * @throws {RegistryError} `Unsupported` for what no image looks like: too many parts, or parts that cannot be read.
   */
  listParts(
    image: Reference & { readonly digest: string },
    side: RegistrySide,
    signal: AbortSignal,
  ): Promise<ImageParts | undefined>;
  /**
   * Points a tag in the backup at a copy that is there already; nothing is uploaded.
   *
   * @throws {RegistryError}
   */
  tag(copy: Reference, tag: string, signal: AbortSignal): Promise<void>;
  /**
   * True when only the configured credentials can read an image, not everybody.
   *
   * @throws {RegistryError}
   */
  isPrivate(reference: Reference, side: RegistrySide, signal: AbortSignal): Promise<boolean>;
}

/**
 * How far a copy is, as far as the engine has told. It names a layer once it has read the manifest that lists it, and
 * its size when it begins with it: both may still grow.
 */
export interface CopyProgress {
  readonly layers: number;
  /** Sent, or found in the backup. */
  readonly layersDone: number;
  /** Of all layers that were begun. */
  readonly bytesBegun: number;
  readonly bytesDone: number;
}

/** How the layers of a copy came into the backup, configurations included. What it had already is in neither. */
export interface CopyAmounts {
  readonly layersSent: number;
  readonly bytesSent: number;
  /** Taken by the backup from another of its repositories. */
  readonly layersMounted: number;
  readonly bytesMounted: number;
}

/** A copy that was made. */
export interface CopyResult extends CopyAmounts {
  /** Why its signatures, attestations and SBOMs were not copied along; undefined when they were, or are not wanted. */
  readonly referrersProblem?: string;
}

/** A copy that is being made now. */
export interface CopyInFlight extends CopyProgress {
  /** Pinned. */
  readonly source: Reference;
  readonly copy: Reference;
  readonly startedAtMs: number;
}

/** For whom a copy is: of many that are wanted, each namespace gets its share. */
export interface CopyShare {
  /** With a workload that wants it. */
  readonly namespaces: readonly string[];
  /** No other namespace wants any copy: nobody has to be left room for. */
  readonly isAlone: boolean;
  /** Pods depend on it now: it is to rescue them, or they run from it. */
  readonly isUrgent: boolean;
}

export interface CopyJob {
  /** Pinned: has a digest, because a tag may move between look-up and copy. */
  readonly source: Reference;
  /** Where the copy goes: has a tag. */
  readonly copy: Reference;
  /** Of an image with several: all by default. The digest is that of the whole image in any case. */
  readonly platforms?: Platforms;
  /** The backup has the image, but not all that it consists of: everything is looked up there, and sent if missing. */
  readonly isRepair?: boolean;
  /** The backup refuses to say what it has of the repository: whether it may be written to is tried first, before anything is fetched. */
  readonly isUnseen?: boolean;
  /** Who waits for it; nobody that is known when it is left out. */
  readonly share?: CopyShare;
  /** Called when no other copy has to be waited for any more. */
  readonly onTurn?: () => void;
  /** Called every ten seconds while the copy is being made. */
  readonly onProgress?: (progress: CopyProgress) => void;
}

/** The workloads as last seen by the reflectors. */
export interface WorkloadStore {
  /** Undefined once the workload is gone, or its namespace excluded. */
  get(name: WorkloadName): Workload | undefined;
  list(): readonly Workload[];
  /** The policy that a user wrote on a namespace: hostile until parsed; undefined when there is none. */
  findNamespacePolicy(namespace: string): string | undefined;
}

/**
 * The pods of the cluster as last seen: a moment old while all is well, minutes while the watch has trouble. They say when
 * to look; before anything is done because of them, they are listed.
 */
export interface PodStore {
  /** Those that a workload has made, or a run of it; undefined while pods are not watched. */
  listOf(workload: WorkloadName): readonly Pod[] | undefined;
}

/** New image per slot, and annotations to set (a string) or remove (null). */
export interface WorkloadPatch {
  readonly slots: readonly Pick<Slot, 'place' | 'name' | 'image'>[];
  readonly annotations: Readonly<Record<string, string | null>>;
  /** Names to add to `imagePullSecrets` of the template, and to take away. */
  readonly pullSecrets?: { readonly add: readonly string[]; readonly remove: readonly string[] };
}

/** New image per container of a pod that never started. */
export interface PodPatch {
  readonly name: string;
  /** The pod must still be this one. */
  readonly uid: string;
  readonly slots: WorkloadPatch['slots'];
}

/** What admission would make of a pod; `unknown` where it cannot be asked, or its answer means nothing. */
export type PodPreview =
  | { readonly is: 'seen'; readonly slots: readonly Slot[] }
  | { readonly is: 'unknown' }
  | { readonly is: 'not permitted' };

/** What admission would make of a patch, of which it has the last word. */
export interface PatchPreview {
  /** What the slots of the workload would hold. */
  readonly slots: readonly Slot[];
  readonly pod: PodPreview;
}

/** What the loop needs from the cluster besides the reflectors. */
export interface WorkloadClient {
  /** Pods that the workload's selector matches; of a CronJob, those of its scheduled runs. */
  listPods(workload: Workload, signal: AbortSignal): Promise<readonly Pod[]>;
  /** Of all nodes, each once: `linux/amd64`. At most a minute old. */
  listNodePlatforms(signal: AbortSignal): Promise<readonly string[]>;
  /** Pod templates that the Deployment has, or had; none for other kinds. */
  listFormerTemplates(workload: Workload, signal: AbortSignal): Promise<readonly FormerTemplate[]>;
  /**
   * Gives up our ownership of the images, which stay as they are, so that their next owner meets no conflict.
   *
   * @throws {ConflictError} when the workload is no longer the one that was read.
   * @throws {WriteDeniedError} when admission or RBAC refuses it.
   */
  releaseImages(workload: Workload, signal: AbortSignal): Promise<void>;
  /**
   * A dry run of a patch, and of creating a pod of what comes of it: the API server keeps nothing. Undefined where a
   * webhook does not let that be seen.
   *
   * @throws {ConflictError} when the workload is no longer the one that was read.
   * @throws {WriteDeniedError} when admission or RBAC refuses it, or admission would refuse the pod.
   */
  dryRunPatch(
    workload: Workload,
    patch: WorkloadPatch,
    signal: AbortSignal,
  ): Promise<PatchPreview | undefined>;
  /**
   * Points the slots at the given images in one request, all or none; other fields stay with their owners.
   *
   * @throws {ConflictError} when the workload is no longer the one that was read: copying takes minutes,
   * and a newer image set by somebody else in the meantime must survive.
   * @throws {WriteDeniedError} when admission or RBAC refuses it.
   */
  patch(workload: Workload, patch: WorkloadPatch, signal: AbortSignal): Promise<void>;
  /**
   * Changes the images of one pod of a workload in place.
   *
   * @throws {ConflictError} when the pod is gone.
   * @throws {WriteDeniedError} when admission or RBAC refuses it.
   */
  patchPod(workload: Workload, patch: PodPatch, signal: AbortSignal): Promise<void>;
}

/** What an event is about. */
export interface EventSubject {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/** Events are told once per change of outcome, and never hold up the work: delivery is best effort. */
export interface EventRecorder {
  record(subject: EventSubject, event: ObjectEvent): void;
}

/** A Secret of the name that PULL_SECRET says, in the namespace of the controller or another. */
export interface PullSecret {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** True for one that this controller has handed out; all others are none of its business. */
  readonly isOurs: boolean;
  /** Its Docker config, still encoded: never to be shown. Undefined when it is no `kubernetes.io/dockerconfigjson`. */
  readonly config?: string;
  /** Kinds of the workloads that one of ours was handed out for. */
  readonly usedBy: readonly string[];
}

export type PullSecretContent = Required<Pick<PullSecret, 'config' | 'usedBy'>>;

/** The pull secrets as last seen. */
export interface PullSecretStore {
  /** `loading` for a moment after a change of PULL_SECRET; `forbidden` until somebody grants the permission. */
  state(): 'known' | 'loading' | 'forbidden';
  get(namespace: string): PullSecret | undefined;
  list(): readonly PullSecret[];
}

/**
 * Hands pull secrets out.
 *
 * All of them throw a ConflictError when the Secret is no longer what was seen, and a WriteDeniedError when admission
 * or RBAC refuses it.
 */
export interface PullSecretClient {
  create(
    secret: Pick<PullSecret, 'namespace' | 'name'>,
    content: PullSecretContent,
    signal: AbortSignal,
  ): Promise<void>;
  update(secret: PullSecret, content: PullSecretContent, signal: AbortSignal): Promise<void>;
  remove(secret: PullSecret, signal: AbortSignal): Promise<void>;
}
