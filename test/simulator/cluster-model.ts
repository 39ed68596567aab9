import { parseReference } from '../../src/images/reference.ts';
import { projectFormerTemplate, projectPod, projectWorkload } from '../../src/kubernetes/projection.ts';
import type { WorkloadPatch } from '../../src/reconcile/ports.ts';
import { ConflictError } from '../../src/errors.ts';
import { FIELD_MANAGER } from '../../src/workloads/image-owner.ts';
import type { FormerTemplate, Pod, Workload } from '../../src/workloads/workload.ts';
import type { RegistryModel } from './registry-model.ts';

const CONTAINERS = ['app', 'helper'] as const;
type Images = Readonly<Record<string, string>>;

interface ModelPod {
  readonly name: string;
  readonly images: Images;
  readonly createdAtMs: number;
  /** By container; absent until pulled. */
  digests: Readonly<Record<string, string>> | undefined;
  /** Containers whose images could not be pulled when it was last tried. */
  stuck: readonly string[];
}

interface Revision {
  readonly images: Images;
  annotations: Readonly<Record<string, string>>;
  readonly written: Images;
}

/** A Deployment with its pods, and what the model knows better than the controller. */
export interface ModelWorkload {
  readonly name: string;
  readonly uid: string;
  images: Images;
  annotations: Readonly<Record<string, string>>;
  replicas: number;
  isPaused: boolean;
  generation: number;
  observedGeneration: number;
  resourceVersion: number;
  pods: ModelPod[];
  /** Templates that it had, the newest last, as its ReplicaSets keep them. */
  revisions: Revision[];
  /** What the user wrote last, whatever stands there now. */
  written: Images;
  /** Field manager that wrote the images last. */
  owner: string | undefined;
  /** Of the swap whose rollout has not ended. */
  swappedAtMs: number | undefined;
}

const NAMESPACE = 'shop';
export const BACKUP_HOST = 'backup.example';

/** Deployments, a Deployment controller and a kubelet, one small step at a time. */
export class ClusterModel {
  readonly workloads = new Map<string, ModelWorkload>();
  /** Every change in order; undefined for a deletion. */
  readonly changes: { readonly name: string; readonly workload: Workload | undefined }[] = [];
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

  create(name: string, images: readonly string[]): void {
    const written = Object.fromEntries(images.map((image, index) => [CONTAINERS[index] ?? '', image]));
    this.#created += 1;
    this.workloads.set(name, {
      name,
      uid: `uid-${this.#created}`,
      images: written,
      annotations: {},
      replicas: 2,
      isPaused: false,
      generation: 1,
      observedGeneration: 0,
      resourceVersion: 0,
      pods: [],
      revisions: [{ images: written, annotations: {}, written }],
      written,
      owner: 'kubectl-client-side-apply',
      swappedAtMs: undefined,
    });
    this.touch(name);
  }

  delete(name: string): void {
    this.workloads.delete(name);
    this.changes.push({ name, workload: undefined });
  }

  /** Tells the watchers of a change. */
  touch(name: string): void {
    const workload = this.workloads.get(name);
    if (workload) {
      this.#version += 1;
      workload.resourceVersion = this.#version;
      this.changes.push({ name, workload: this.read(workload) });
    }
  }

  /** As the reflector would show it. */
  read(workload: ModelWorkload): Workload {
    const raw = this.toRaw(workload);
    const projected = projectWorkload('Deployment', raw);
    if (!projected) {
      throw new Error('the model wrote a Deployment that cannot be one');
    }
    return projected;
  }

  toRaw(workload: ModelWorkload): object {
    const { name, uid, annotations, generation, observedGeneration, resourceVersion, replicas } = workload;
    return {
      metadata: {
        name,
        namespace: NAMESPACE,
        uid,
        annotations,
        generation,
        resourceVersion: `${resourceVersion}`,
        managedFields: workload.owner === undefined ? [] : [toEntry(workload.owner)],
      },
      spec: {
        replicas,
        paused: workload.isPaused,
        selector: { matchLabels: { app: name } },
        template: toTemplate(workload.images),
      },
      status: {
        observedGeneration,
        replicas: workload.pods.length,
        updatedReplicas: workload.pods.filter((pod) => isOf(pod, workload)).length,
        availableReplicas: workload.pods.filter((pod) => pod.digests).length,
      },
    };
  }

  listPods(name: string): readonly Pod[] {
    return (this.workloads.get(name)?.pods ?? []).flatMap((pod) => projectPod(toRawPod(pod)) ?? []);
  }

  listFormerTemplates({ name, uid }: Workload): readonly FormerTemplate[] {
    const live = this.workloads.get(name);
    const raw = (live?.revisions ?? []).map(({ images, annotations }) => ({
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

  /** The user, or a tool of theirs, writes images and leaves the annotations alone. */
  apply(workload: ModelWorkload, images: Images): void {
    workload.written = { ...workload.written, ...images };
    workload.owner = 'kubectl-client-side-apply';
    workload.swappedAtMs = undefined;
    this.#setTemplate(workload, { ...workload.images, ...images });
    this.touch(workload.name);
  }

  /** `kubectl rollout undo`: template and annotations of an earlier ReplicaSet. */
  rollBack(workload: ModelWorkload, pick: number): void {
    const revision = workload.revisions[pick % workload.revisions.length];
    if (revision && !workload.isPaused) {
      workload.annotations = revision.annotations;
      workload.written = revision.written;
      workload.owner = 'kubectl';
      workload.swappedAtMs = undefined;
      this.#setTemplate(workload, revision.images);
      this.touch(workload.name);
    }
  }

  /** One step of the Deployment controller and the kubelet. False: nothing to do. */
  advance(workload: ModelWorkload): boolean {
    const isBusy =
      this.#observe(workload) || this.#pull(workload) || this.#retire(workload) || this.#start(workload);
    if (isBusy) {
      this.touch(workload.name);
    }
    return isBusy;
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

  /** An old pod goes once there are more ready pods than needed, and at once when it is not ready itself. */
  #retire(workload: ModelWorkload): boolean {
    const isSurplus = workload.pods.length > workload.replicas;
    const ready = workload.pods.filter((pod) => pod.digests).length;
    const old = workload.pods.filter((pod) => !isOf(pod, workload) && !workload.isPaused);
    const leaving =
      (workload.replicas === 0 ? workload.pods[0] : undefined) ??
      old.find((pod) => !pod.digests) ??
      (ready > workload.replicas ? old[0] : undefined) ??
      (isSurplus && old.length === 0 ? workload.pods.at(-1) : undefined);
    if (!leaving) {
      return false;
    }
    workload.pods = workload.pods.filter((pod) => pod !== leaving);
    return true;
  }

  /** A surge of one pod. */
  #start(workload: ModelWorkload): boolean {
    const updated = workload.pods.filter((pod) => isOf(pod, workload));
    const isStarting = workload.pods.some((pod) => !pod.digests);
    const isFull = updated.length >= workload.replicas || workload.pods.length > workload.replicas;
    if (isFull || isStarting || (workload.isPaused && workload.pods.length >= workload.replicas)) {
      return false;
    }
    this.#created += 1;
    const name = `${workload.name}-${this.#created}`;
    workload.pods.push({
      name,
      images: workload.images,
      createdAtMs: this.#nowMs(),
      digests: undefined,
      stuck: [],
    });
    return true;
  }
}

function toTemplate(images: Images): object {
  return { spec: { containers: Object.entries(images).map(([name, image]) => ({ name, image })) } };
}

function toEntry(manager: string): object {
  const fields = { 'f:containers': { any: { 'f:image': {} } } };
  return {
    manager,
    operation: 'Update',
    time: '2026-01-01T00:00:00Z',
    fieldsV1: { 'f:spec': { 'f:template': { 'f:spec': fields } } },
  };
}

function isOf(pod: ModelPod, workload: ModelWorkload): boolean {
  return Object.entries(pod.images).every(([container, image]) => workload.images[container] === image);
}

export function isSettled(workload: ModelWorkload): boolean {
  return (
    workload.observedGeneration === workload.generation &&
    workload.pods.length === workload.replicas &&
    workload.pods.every((pod) => pod.digests && isOf(pod, workload))
  );
}

function toRawPod(pod: ModelPod): object {
  const containers = Object.entries(pod.images);
  const waiting = { reason: 'ImagePullBackOff', message: 'Back-off pulling image' };
  return {
    metadata: { name: pod.name, creationTimestamp: new Date(pod.createdAtMs).toISOString() },
    spec: { containers: containers.map(([name, image]) => ({ name, image })) },
    status: {
      conditions: [{ type: 'Ready', status: pod.digests ? 'True' : 'False' }],
      containerStatuses: containers.map(([name, image]) => {
        const { host, repository } = parseReference(image);
        const digest = pod.digests?.[name];
        return digest
          ? { name, imageID: `${host}/${repository}@${digest}`, state: { running: {} } }
          : { name, imageID: '', state: pod.stuck.includes(name) ? { waiting } : {} };
      }),
    },
  };
}
