import { parseReference } from '../../src/images/reference.ts';
import { projectFormerTemplate, projectPod, projectWorkload } from '../../src/kubernetes/projection.ts';
import type { PodPatch, WorkloadPatch } from '../../src/reconcile/ports.ts';
import { ConflictError } from '../../src/errors.ts';
import { FIELD_MANAGER } from '../../src/workloads/image-owner.ts';
import { formatWorkloadKey } from '../../src/workloads/kinds.ts';
import type { FormerTemplate, Pod, Workload } from '../../src/workloads/workload.ts';
import { type Controlled, KIND_MODELS, type KindModel, type KindName } from './kind-models.ts';
import { type Images, type ModelPod, isOf, toRawPod } from './pod-model.ts';
import type { RegistryModel } from './registry-model.ts';

const CONTAINERS = ['app', 'helper'] as const;

interface Revision {
  readonly images: Images;
  annotations: Readonly<Record<string, string>>;
  readonly written: Images;
}

/** A workload with its pods, and what the model knows better than the controller. */
export interface ModelWorkload extends Controlled {
  readonly kind: KindModel;
  readonly name: string;
  readonly uid: string;
  images: Images;
  annotations: Readonly<Record<string, string>>;
  replicas: number;
  isPaused: boolean;
  generation: number;
  observedGeneration: number;
  resourceVersion: number;
  startedAtMs: number | undefined;
  /** Templates that it had, the newest last, as its ReplicaSets or ControllerRevisions keep them. */
  revisions: Revision[];
  /** What the user wrote last, whatever stands there now. */
  written: Images;
  /** Field manager that wrote the images last. */
  owner: string | undefined;
  /** Of the swap whose rollout has not ended. */
  swappedAtMs: number | undefined;
  /** Since when it has had fewer pods than it wants. */
  missingSinceMs: number | undefined;
}

const NAMESPACE = 'shop';
export const BACKUP_HOST = 'backup.example';

/** Workloads, their controllers and a kubelet, one small step at a time. */
export class ClusterModel {
  readonly workloads = new Map<string, ModelWorkload>();
  /** Every change in order; undefined for a deletion. */
  readonly changes: { readonly key: string; readonly workload: Workload | undefined }[] = [];
  /** False while the nodes cannot pull from the backup. */
  hasBackupAccess = true;
  readonly #registries: RegistryModel;
  readonly #nowMs: () => number;
  #version = 0;
  #created = 0;

  constructor(registries: RegistryModel, nowMs: () => number) {
    this.#registries = registries;
    this.#nowMs = nowMs;
  }

  create(name: string, kind: KindName, images: readonly string[]): void {
    const written = Object.fromEntries(images.map((image, index) => [CONTAINERS[index] ?? '', image]));
    this.#created += 1;
    this.workloads.set(name, {
      kind: KIND_MODELS[kind],
      name,
      uid: `uid-${this.#created}`,
      images: written,
      annotations: {},
      replicas: 2,
      isPaused: false,
      startedAtMs: undefined,
      generation: 1,
      observedGeneration: 0,
      resourceVersion: 0,
      pods: [],
      revisions: [{ images: written, annotations: {}, written }],
      written,
      owner: 'kubectl-client-side-apply',
      swappedAtMs: undefined,
      missingSinceMs: undefined,
    });
    this.touch(name);
  }

  delete(workload: ModelWorkload): void {
    this.workloads.delete(workload.name);
    this.changes.push({ key: keyOf(workload), workload: undefined });
  }

  /** Tells the watchers of a change. */
  touch(name: string): void {
    const workload = this.workloads.get(name);
    if (workload) {
      const isShort = workload.pods.length < workload.replicas;
      workload.missingSinceMs = isShort ? (workload.missingSinceMs ?? this.#nowMs()) : undefined;
      this.#version += 1;
      workload.resourceVersion = this.#version;
      this.changes.push({ key: keyOf(workload), workload: this.read(workload) });
    }
  }

  /** As the reflector would show it. */
  read(workload: ModelWorkload): Workload {
    const raw = this.toRaw(workload);
    const projected = projectWorkload(workload.kind.kind, raw);
    if (!projected) {
      throw new Error('the model wrote a workload that cannot be one');
    }
    return projected;
  }

  toRaw(workload: ModelWorkload): object {
    const { kind, name, uid, annotations, generation, observedGeneration, resourceVersion } = workload;
    return {
      metadata: {
        name,
        namespace: NAMESPACE,
        uid,
        annotations,
        generation,
        resourceVersion: `${resourceVersion}`,
        managedFields: workload.owner === undefined ? [] : [toEntry(workload, workload.owner)],
      },
      spec: {
        selector: { matchLabels: { app: name } },
        ...kind.toSpec(workload, toTemplate(workload.images)),
      },
      status: { observedGeneration, ...kind.toStatus(workload) },
    };
  }

  listPods(name: string): readonly Pod[] {
    return (this.workloads.get(name)?.pods ?? []).flatMap((pod) => projectPod(toRawPod(pod)) ?? []);
  }

  listFormerTemplates({ kind, name, uid }: Workload): readonly FormerTemplate[] {
    const live = this.workloads.get(name);
    const raw = (kind === 'Deployment' ? (live?.revisions ?? []) : []).map(({ images, annotations }) => ({
      metadata: { annotations, ownerReferences: [{ uid: live?.uid }] },
      spec: { template: toTemplate(images) },
    }));
    return raw.flatMap((one) => projectFormerTemplate(one, uid) ?? []);
  }

  /** Fails as a patch that tests what it removes. */
  releaseImages(read: Workload): void {
    const live = this.workloads.get(read.name);
    if (live?.uid !== read.uid || live.owner !== FIELD_MANAGER) {
      throw new ConflictError('changed meanwhile');
    }
    live.owner = undefined;
    this.touch(live.name);
  }

  /** What the API server does with a patch of the controller. */
  patch(read: Workload, { slots, annotations }: WorkloadPatch): void {
    const live = this.workloads.get(read.name);
    if (live?.uid !== read.uid || `${live.resourceVersion}` !== read.resourceVersion) {
      throw new ConflictError('changed meanwhile');
    }
    const kept = { ...live.annotations, ...annotations };
    live.annotations = Object.fromEntries(
      Object.entries(kept).filter((entry): entry is [string, string] => entry[1] !== null),
    );
    const images = Object.fromEntries(slots.map(({ name, image }) => [name, image]));
    live.owner = slots.length > 0 ? FIELD_MANAGER : live.owner;
    this.#setTemplate(live, { ...live.images, ...images });
    this.touch(live.name);
  }

  /** What the API server does with a patch of a pod: it may have other images, and nothing else. */
  patchPod(workload: Workload, { name, uid, slots }: PodPatch): void {
    const pod = this.workloads.get(workload.name)?.pods.find((one) => one.name === name && one.uid === uid);
    if (!pod) {
      throw new ConflictError('the pod is gone');
    }
    pod.images = { ...pod.images, ...Object.fromEntries(slots.map((slot) => [slot.name, slot.image])) };
    pod.stuck = [];
    pod.replacedAtMs = this.#nowMs();
    this.touch(workload.name);
  }

  /** The user, or a tool of theirs, writes images and leaves the annotations alone. */
  apply(workload: ModelWorkload, images: Images): void {
    this.#change(workload, {
      images: { ...workload.images, ...images },
      written: { ...workload.written, ...images },
      owner: 'kubectl-client-side-apply',
    });
  }

  /** `kubectl rollout undo`: an earlier template, with what else is kept of that. */
  rollBack(workload: ModelWorkload, pick: number): void {
    const revision = workload.revisions[pick % workload.revisions.length];
    if (revision && !workload.isPaused && workload.kind.hasRevisions) {
      workload.annotations = workload.kind.keepsAnnotations ? workload.annotations : revision.annotations;
      this.#change(workload, { ...revision, owner: 'kubectl' });
    }
  }

  /** Somebody deletes a pod, or drains its node. */
  deletePod(workload: ModelWorkload, pod: ModelPod): void {
    workload.pods = workload.pods.filter((one) => one !== pod);
    this.touch(workload.name);
  }

  /** Its time has come: a CronJob starts a run, unless one is still running. */
  startRun(workload: ModelWorkload): void {
    if (workload.kind.kind === 'CronJob' && workload.pods.length === 0) {
      workload.startedAtMs = this.#nowMs();
      this.#startPod(workload, 0);
      this.touch(workload.name);
    }
  }

  /** One step of the controller of its kind, and of the kubelet. False: nothing to do. */
  advance(workload: ModelWorkload): boolean {
    const isBusy = this.#observe(workload) || this.#pull(workload) || this.#control(workload);
    if (isBusy) {
      this.touch(workload.name);
    }
    return isBusy;
  }

  /** By somebody else, who has to see to pods that the controller of this kind does not replace. */
  #change(
    workload: ModelWorkload,
    { images, written, owner }: { images: Images; written: Images; owner: string },
  ): void {
    Object.assign(workload, { written, owner, swappedAtMs: undefined });
    this.#setTemplate(workload, images);
    if (workload.kind.keepsStuckPods) {
      workload.pods = workload.pods.filter((pod) => pod.digests ?? isOf(pod, images));
    }
    this.touch(workload.name);
  }

  #setTemplate(workload: ModelWorkload, images: Images): void {
    const newest = workload.revisions.at(-1);
    if (JSON.stringify(images) === JSON.stringify(workload.images)) {
      if (newest) {
        newest.annotations = workload.annotations;
      }
      return;
    }
    workload.images = images;
    workload.generation += 1;
    workload.revisions.push({ images, annotations: workload.annotations, written: workload.written });
  }

  #observe(workload: ModelWorkload): boolean {
    if (workload.observedGeneration === workload.generation) {
      return false;
    }
    workload.observedGeneration = workload.generation;
    return true;
  }

  /** The kubelet pulls for one pod that has not got its images. */
  #pull(workload: ModelWorkload): boolean {
    const waiting = workload.pods.find(
      (pod) =>
        !pod.digests && (pod.stuck.length === 0 || String(this.#findMissing(pod)) !== String(pod.stuck)),
    );
    if (!waiting) {
      return false;
    }
    waiting.stuck = this.#findMissing(waiting);
    const entries = Object.entries(waiting.images).map(
      ([container, image]) => [container, this.#findDigest(image) ?? ''] as const,
    );
    waiting.digests = waiting.stuck.length === 0 ? Object.fromEntries(entries) : undefined;
    return true;
  }

  #findMissing({ images }: ModelPod): readonly string[] {
    return Object.keys(images).filter((container) => this.#findDigest(images[container] ?? '') === undefined);
  }

  #findDigest(image: string): string | undefined {
    const reference = parseReference(image);
    const side = reference.host === BACKUP_HOST ? 'backup' : 'source';
    const isReachable = this.#registries.isUp[side] && (side === 'source' || this.hasBackupAccess);
    return isReachable ? this.#registries.find(reference) : undefined;
  }

  #control(workload: ModelWorkload): boolean {
    const move = workload.kind.plan(workload);
    if (move === undefined) {
      return false;
    }
    if ('remove' in move) {
      workload.pods = workload.pods.filter((pod) => pod !== move.remove);
    } else {
      this.#startPod(workload, move.startAt);
    }
    return true;
  }

  #startPod(workload: ModelWorkload, place: number): void {
    this.#created += 1;
    const { name, uid, kind, images } = workload;
    const createdAtMs = this.#nowMs();
    const job = { uid: `uid-job-${this.#created}`, name: `${name}-${Math.floor(createdAtMs / 60_000)}` };
    workload.pods.push({
      name: `${name}-${this.#created}`,
      uid: `uid-pod-${this.#created}`,
      owner: kind.kind === 'CronJob' ? job : { uid, name },
      place,
      template: images,
      images,
      createdAtMs,
      digests: undefined,
      stuck: [],
    });
  }
}

function keyOf({ kind: { kind }, name }: ModelWorkload): string {
  return formatWorkloadKey({ kind, namespace: NAMESPACE, name });
}

function toTemplate(images: Images): object {
  return { spec: { containers: Object.entries(images).map(([name, image]) => ({ name, image })) } };
}

function toEntry({ kind: { kind } }: ModelWorkload, manager: string): object {
  const template = { 'f:spec': { 'f:containers': { any: { 'f:image': {} } } } };
  const spec = { 'f:template': template };
  return {
    manager,
    operation: 'Update',
    time: '2026-01-01T00:00:00Z',
    fieldsV1: { 'f:spec': kind === 'CronJob' ? { 'f:jobTemplate': { 'f:spec': spec } } : spec },
  };
}

export function isSettled(workload: ModelWorkload): boolean {
  return workload.observedGeneration === workload.generation && workload.kind.isComplete(workload);
}
