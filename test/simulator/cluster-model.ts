import { projectPod } from '../../src/kubernetes/pods/pod-projection.ts';
import { projectFormerTemplate, projectWorkload } from '../../src/kubernetes/workloads/projection.ts';
import type { PatchPreview, PodPatch, PodPreview, WorkloadPatch } from '../../src/reconcile/ports.ts';
import { ConflictError } from '../../src/errors.ts';
import { FIELD_MANAGER } from '../../src/workloads/image-owner.ts';
import { type WorkloadKind, formatWorkloadKey } from '../../src/workloads/kinds.ts';
import type { FormerTemplate, Pod, Workload } from '../../src/workloads/workload.ts';
import { type Policy, admit } from './admission-model.ts';
import { type Controlled, KIND_MODELS, type KindModel, type KindName } from './kind-models.ts';
import type { ContainerState, NodesModel } from './node-model.ts';
import { type Images, type ModelPod, type Origin, isOf, isReady, toRawPod } from './pod-model.ts';

const CONTAINERS = ['app', 'helper'] as const;

interface Revision {
  readonly images: Images;
  annotations: Readonly<Record<string, string>>;
  readonly written: Images;
}

/** A workload with its pods, and what the model knows better than the controller. */
export interface ModelWorkload extends Controlled {
  readonly kind: KindModel;
  readonly namespace: string;
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
  /** When somebody other than the controller last wrote into the template. */
  changedAtMs: number;
  /** The last template that all pods were of, and ready. */
  completed: Images | undefined;
  /** How often the template has changed, as a DaemonSet counts it. */
  templateGeneration: number;
  /** Of the swap whose rollout has not ended. */
  swappedAtMs: number | undefined;
  /** Since when it has had fewer pods than it wants. */
  missingSinceMs: number | undefined;
}

const NAMESPACE = 'shop';
/** Of the tenant who writes into annotations and slots whatever may hurt others. */
export const HOSTILE_NAMESPACE = 'mallory';
const USER = 'kubectl-client-side-apply';

/** Workloads, their controllers, admission and kubelets, one small step at a time. */
export class ClusterModel {
  readonly workloads = new Map<string, ModelWorkload>();
  /** Every change in order; undefined for a deletion. */
  readonly changes: { readonly key: string; readonly workload: Workload | undefined }[] = [];
  readonly nodes: NodesModel;
  policy: Policy = 'none';
  /** What the controller is told that admission would make of a pod. */
  podPreviews: PodPreview['is'] = 'not permitted';
  readonly #nowMs: () => number;
  readonly #hashes = new Map<string, string>();
  #version = 0;
  #created = 0;

  constructor(nodes: NodesModel, nowMs: () => number) {
    this.nodes = nodes;
    this.#nowMs = nowMs;
  }

  /** Those of tenants who do no harm. */
  get honest(): readonly ModelWorkload[] {
    return [...this.workloads.values()].filter((workload) => !isHostile(workload));
  }

  create(name: string, kind: KindName, images: readonly string[]): void {
    this.#create({ namespace: NAMESPACE, name, kind, images, annotations: {} });
  }

  /** With annotations that a hand has written. */
  createHostile(
    name: string,
    images: readonly string[],
    annotations: Readonly<Record<string, string>>,
  ): ModelWorkload {
    return this.#create({ namespace: HOSTILE_NAMESPACE, name, kind: 'Deployment', images, annotations });
  }

  #create({
    namespace,
    name,
    kind,
    images,
    annotations,
  }: Pick<ModelWorkload, 'namespace' | 'name' | 'annotations'> & {
    readonly kind: KindName;
    readonly images: readonly string[];
  }): ModelWorkload {
    const written = Object.fromEntries(images.map((image, index) => [CONTAINERS[index] ?? '', image]));
    this.#created += 1;
    const workload: ModelWorkload = {
      kind: KIND_MODELS[kind],
      namespace,
      name,
      uid: `uid-${this.#created}`,
      images: written,
      annotations,
      replicas: 2,
      isPaused: false,
      startedAtMs: undefined,
      generation: 1,
      observedGeneration: 0,
      resourceVersion: 0,
      pods: [],
      revisions: [{ images: written, annotations, written }],
      written,
      owner: USER,
      changedAtMs: this.#nowMs(),
      completed: undefined,
      templateGeneration: 1,
      swappedAtMs: undefined,
      missingSinceMs: undefined,
    };
    this.workloads.set(name, workload);
    this.touch(name);
    return workload;
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
      workload.completed = isSettled(workload) ? workload.images : workload.completed;
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
    const { kind, namespace, name, uid, annotations, generation, observedGeneration, resourceVersion } =
      workload;
    const { templateGeneration } = workload;
    return {
      metadata: {
        name,
        namespace,
        uid,
        annotations: { ...annotations, 'deprecated.daemonset.template.generation': `${templateGeneration}` },
        generation,
        resourceVersion: `${resourceVersion}`,
        managedFields: toManagedFields(workload),
      },
      spec: {
        selector: { matchLabels: { app: name } },
        ...kind.toSpec(workload, toTemplate(workload.images)),
      },
      status: {
        observedGeneration,
        ...this.#toRevisions(workload),
        ...kind.toStatus(workload),
      },
    };
  }

  listPods(name: string): readonly Pod[] {
    return (this.workloads.get(name)?.pods ?? []).flatMap((pod) => projectPod(toRawPod(pod)) ?? []);
  }

  listFormerTemplates({ kind, name, uid }: Workload): readonly FormerTemplate[] {
    const live = this.workloads.get(name);
    const raw = (kind === 'Deployment' ? (live?.revisions ?? []) : []).map(({ images, annotations }) => ({
      metadata: {
        annotations,
        ownerReferences: [{ uid: live?.uid }],
        labels: { 'pod-template-hash': this.#hash(images) },
      },
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

  /** What the API server would do with a patch of the controller, and with a pod of what comes of it. */
  dryRun(read: Workload, { slots }: WorkloadPatch): PatchPreview {
    this.#find(read);
    const images = new Map(slots.map(({ name, image }) => [name, image]));
    const patched = read.slots.map((slot) => ({ ...slot, image: images.get(slot.name) ?? slot.image }));
    const made = patched.map((slot) => ({ ...slot, image: admit(this.policy, slot.image) }));
    const is = this.podPreviews;
    return { slots: patched, pod: is === 'seen' ? { is, slots: made } : { is } };
  }

  /** What the API server does with a patch of the controller. */
  patch(read: Workload, { slots, annotations }: WorkloadPatch): void {
    const live = this.#find(read);
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
    const images = Object.fromEntries(slots.map((slot) => [slot.name, slot.image]));
    pod.images = { ...pod.images, ...images };
    pod.wanted = { ...pod.wanted, ...images };
    pod.states = Object.fromEntries(
      Object.entries(pod.states).filter(([container]) => !(container in images)),
    );
    pod.replacedAtMs = this.#nowMs();
    this.touch(workload.name);
  }

  /** By hand, past everything that reads it. */
  annotate(workload: ModelWorkload, annotations: Readonly<Record<string, string>>): void {
    workload.annotations = { ...workload.annotations, ...annotations };
    this.touch(workload.name);
  }

  /** The user, or a tool of theirs, writes images and leaves the annotations alone. */
  apply(workload: ModelWorkload, images: Images): void {
    this.#change(workload, {
      images: { ...workload.images, ...images },
      written: { ...workload.written, ...images },
      owner: USER,
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
    const isBusy = this.#observe(workload) || this.#run(workload) || this.#control(workload);
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
    Object.assign(workload, { written, owner, swappedAtMs: undefined, changedAtMs: this.#nowMs() });
    this.#setTemplate(workload, images);
    if (workload.kind.keepsStuckPods) {
      workload.pods = workload.pods.filter((pod) => isReady(pod) || isOf(pod, images));
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
    const { annotations, written } = workload;
    // What makes the same pods is the same ReplicaSet, or ControllerRevision.
    const others = workload.revisions.filter((one) => JSON.stringify(one.images) !== JSON.stringify(images));
    workload.images = images;
    workload.generation += 1;
    workload.templateGeneration += 1;
    workload.revisions = [...others, { images, annotations, written }];
  }

  #observe(workload: ModelWorkload): boolean {
    if (workload.observedGeneration === workload.generation) {
      return false;
    }
    workload.observedGeneration = workload.generation;
    return true;
  }

  /** The workload as it was read, or nothing comes of the request. */
  #find(read: Workload): ModelWorkload {
    const live = this.workloads.get(read.name);
    if (live?.uid !== read.uid || `${live.resourceVersion}` !== read.resourceVersion) {
      throw new ConflictError('changed meanwhile');
    }
    return live;
  }

  /** The kubelet does something for one pod that is not ready. */
  #run(workload: ModelWorkload): boolean {
    for (const pod of workload.pods) {
      const states = isReady(pod) ? pod.states : this.#runPod(pod);
      if (Object.entries(states).some(([container, { is }]) => pod.states[container]?.is !== is)) {
        pod.states = states;
        return true;
      }
    }
    return false;
  }

  #runPod({ images, states, node }: ModelPod): Readonly<Record<string, ContainerState>> {
    const entries = Object.entries(images).map(
      ([container, image]) =>
        [container, this.nodes.run(image, { node, before: states[container] })] as const,
    );
    return Object.fromEntries(entries);
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
    const { name, kind, images } = workload;
    const admitted = Object.entries(images).map(
      ([container, image]) => [container, admit(this.policy, image)] as const,
    );
    workload.pods.push({
      ...this.#planOrigin(workload),
      name: `${name}-${this.#created}`,
      uid: `uid-pod-${this.#created}`,
      place,
      // The other pods do not care where they run.
      node: this.nodes.at(kind.hasPlaces ? place : this.#created),
      template: images,
      wanted: images,
      images: Object.fromEntries(admitted),
      createdAtMs: this.#nowMs(),
      states: {},
    });
  }

  #planOrigin({ kind: { kind }, name, uid, images, templateGeneration }: ModelWorkload): Origin {
    const hash = this.#hash(images);
    const job = `${name}-${Math.floor(this.#nowMs() / 60_000)}`;
    const origins: Readonly<Record<WorkloadKind, Origin>> = {
      Deployment: {
        owner: { kind: 'ReplicaSet', uid: `${uid}-${hash}`, name: `${name}-${hash}` },
        labels: { 'pod-template-hash': hash },
      },
      DaemonSet: {
        owner: { kind, uid, name },
        labels: { 'pod-template-generation': `${templateGeneration}`, 'controller-revision-hash': hash },
      },
      StatefulSet: { owner: { kind, uid, name }, labels: { 'controller-revision-hash': `${name}-${hash}` } },
      CronJob: { owner: { kind: 'Job', uid: `uid-job-${this.#created}`, name: job }, labels: {} },
    };
    return origins[kind];
  }

  /** How far the kinds that say so have come with their newest template. */
  #toRevisions({ kind: { kind }, name, images, completed }: ModelWorkload): object {
    const isComplete = completed !== undefined && JSON.stringify(completed) === JSON.stringify(images);
    if (kind === 'Deployment') {
      const reason = isComplete ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated';
      return { conditions: [{ type: 'Progressing', reason }] };
    }
    const [updateRevision, currentRevision] = [images, completed ?? images].map(
      (one) => `${name}-${this.#hash(one)}`,
    );
    return kind === 'StatefulSet' ? { updateRevision, currentRevision } : {};
  }

  /** The same for the same template. */
  #hash(images: Images): string {
    const key = JSON.stringify(images);
    const hash = this.#hashes.get(key) ?? `h${this.#hashes.size}`;
    this.#hashes.set(key, hash);
    return hash;
  }
}

export function isHostile({ namespace }: Pick<ModelWorkload, 'namespace'>): boolean {
  return namespace === HOSTILE_NAMESPACE;
}

function keyOf({ kind: { kind }, namespace, name }: ModelWorkload): string {
  return formatWorkloadKey({ kind, namespace, name });
}

function toTemplate(images: Images): object {
  return { spec: { containers: Object.entries(images).map(([name, image]) => ({ name, image })) } };
}

function toEntry(
  { kind: { kind } }: ModelWorkload,
  {
    manager,
    timeMs,
    ownsImages,
  }: { readonly manager: string; readonly timeMs: number; readonly ownsImages: boolean },
): object {
  const container = ownsImages ? { 'f:image': {} } : { 'f:name': {} };
  const spec = { 'f:template': { 'f:spec': { 'f:containers': { any: container } } } };
  return {
    manager,
    operation: 'Update',
    time: new Date(timeMs).toISOString(),
    fieldsV1: { 'f:spec': kind === 'CronJob' ? { 'f:jobTemplate': { 'f:spec': spec } } : spec },
  };
}

/** Whoever has written the images last owns them, and the user all else that there is in a template. */
function toManagedFields(workload: ModelWorkload): readonly object[] {
  const { owner, changedAtMs: timeMs } = workload;
  const isUsers = owner !== undefined && owner !== FIELD_MANAGER;
  const users = toEntry(workload, { manager: isUsers ? owner : USER, timeMs, ownsImages: isUsers });
  const ours = toEntry(workload, { manager: FIELD_MANAGER, timeMs, ownsImages: true });
  return owner === FIELD_MANAGER ? [users, ours] : [users];
}

export function isSettled(workload: ModelWorkload): boolean {
  return workload.observedGeneration === workload.generation && workload.kind.isComplete(workload);
}
