import { type Reference, parseReference } from '../../src/images/reference.ts';
import type { PodPatch, WorkloadPatch } from '../../src/reconcile/ports.ts';
import { findFormerCopy, planRevert } from '../../src/reconcile/decide/originals/revert.ts';
import { findFailureHoldEndMs } from '../../src/reconcile/decide/originals/undo.ts';
import { parseRecord } from '../../src/workloads/record.ts';
import { isRolledOut } from '../../src/workloads/rollout.ts';
import type { Slot, Workload } from '../../src/workloads/workload.ts';
import { type ClusterModel, type ModelWorkload, isHostile, isSettled } from './cluster-model.ts';
import { demand } from './demand.ts';
import type { ModelNode } from './node-model.ts';
import { type ModelPod, isOf, isReady, listStuck } from './pod-model.ts';
import { HOSTS, type RegistryModel } from './registry-model.ts';
import type { Trials } from './trials.ts';

/** Of pods that are not there, before that counts as a failed swap. */
const SHORTEST_GRACE_MS = 10_000;
/** Of pods that have their images and do not get ready. */
const SHORTEST_TRIAL_MS = 120_000;

function withoutNull(annotations: WorkloadPatch['annotations']): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(annotations).filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

export function isCopyText(image: string): boolean {
  return image.startsWith(`${HOSTS.backup}/`);
}

/**
 * Whether a pod shows that it is of today's template, although a policy has changed its images. Where pods outlive their
 * templates, those of earlier ones do not; and a DaemonSet counts its templates, so that one that comes back has another
 * number than the pods that it finds.
 */
function canBeTold(pod: ModelPod, { images, kind, templateGeneration }: ModelWorkload): boolean {
  const today = `${templateGeneration}`;
  const { 'pod-template-generation': generation = today } = pod.labels;
  return (kind.rollsOut || isOf(pod, images)) && generation === today;
}

/** What may be said of every patch of the controller, at the moment that it takes effect. */
export class PatchPromises {
  readonly #cluster: ClusterModel;
  readonly #registries: RegistryModel;
  readonly #trials: Trials;
  readonly #tell: (line: string) => void;
  /** Swaps that were undone. */
  undone = 0;

  constructor(deps: {
    readonly cluster: ClusterModel;
    readonly registries: RegistryModel;
    readonly trials: Trials;
    readonly tell: (line: string) => void;
  }) {
    this.#cluster = deps.cluster;
    this.#registries = deps.registries;
    this.#trials = deps.trials;
    this.#tell = deps.tell;
  }

  checkPatch(read: Workload, { slots, annotations }: WorkloadPatch): void {
    const live = this.#cluster.workloads.get(read.name);
    if (live?.uid !== read.uid || `${live.resourceVersion}` !== read.resourceVersion) {
      return;
    }
    this.#tell(`  patch of ${read.name}: ${slots.map(({ name, image }) => `${name}=${image}`).join(', ')}`);
    if (isHostile(live)) {
      this.#checkHostile(live, { slots, annotations });
      return;
    }
    this.#checkProof(slots);
    if (Object.values(annotations).every((value) => value === null)) {
      // A restore keeps to the budget where pods that serve are replaced.
      live.swappedAtMs = live.kind.rollsOut && slots.length > 0 && isSettled(live) ? Date.now() : undefined;
    } else if (slots.length > 0) {
      this.#checkSwap(live, read, { slots, annotations });
    }
  }

  /** A tag means what its source has given for it, whatever anybody has written about that. */
  checkTag({ repository, tag = '' }: Reference, digest: string): void {
    const [, host = '', ...path] = repository.split('/');
    const source = { host, repository: path.join('/'), tag };
    const isOfDigest = /--[a-f0-9]{12}(?:-partial)?$/.test(tag);
    demand(
      isOfDigest || this.#registries.hasMeant(source, digest),
      `${repository}:${tag} means what its source has given, and not ${digest}`,
    );
  }

  /** Only for a pod that does not serve, and only to what the template says. */
  checkPodPatch(read: Workload, { name, uid, slots }: PodPatch): void {
    const live = this.#cluster.honest.find((one) => one.name === read.name);
    const pod = live?.pods.find((one) => one.uid === uid);
    if (!pod) {
      return;
    }
    this.#tell(`  patch of the pod ${name}: ${slots.map((slot) => `${slot.name}=${slot.image}`).join(', ')}`);
    for (const { name: container, image } of slots) {
      const slot = read.slots.find((one) => one.name === container);
      const isBackedUp = !isCopyText(image) || this.#registries.wasProven(parseReference(image));
      demand(slot?.image === image && isBackedUp, `the pod ${name} gets an image of its template`);
    }
  }

  /** What is put back is what a hand has written down. What is new is in the backup. */
  #checkHostile(live: ModelWorkload, { slots, annotations }: WorkloadPatch): void {
    const next = parseRecord(withoutNull(annotations));
    if (next.before.size > 0) {
      this.#checkProof(slots);
      live.swappedAtMs = live.kind.rollsOut && isSettled(live) ? next.swappedAtMs : undefined;
    }
  }

  #checkSwap(live: ModelWorkload, read: Workload, { slots, annotations }: WorkloadPatch): void {
    const next = parseRecord(withoutNull(annotations));
    // Only what goes back has nothing that it could go back to.
    const isUndo = next.before.size === 0;
    // As decided: the request may have been on its way for long. A rescue waits for no place, and takes none here.
    live.swappedAtMs = isUndo || !isRolledOut(read) || !live.kind.rollsOut ? undefined : next.swappedAtMs;
    if (isUndo) {
      this.undone += 1;
      this.#trials.noteUndo(live);
      demand(this.#isWrong(live), `no undo of ${read.name} while nothing is wrong with its pods`);
      return;
    }
    this.#checkHold(read);
    for (const slot of slots) {
      this.#checkDigest(live, read, slot);
    }
    if (isRolledOut(read)) {
      this.#trials.begin(live);
    }
  }

  /** Pods are not there, cannot pull, do not get ready, or run something else than the template says. */
  #isWrong(live: ModelWorkload): boolean {
    const nowMs = Date.now();
    const isMissing = nowMs - (live.missingSinceMs ?? Infinity) >= SHORTEST_GRACE_MS;
    const isLate = ({ createdAtMs, replacedAtMs = 0 }: ModelPod): boolean =>
      nowMs - Math.max(createdAtMs, replacedAtMs) >= SHORTEST_TRIAL_MS;
    return isMissing || live.pods.some((pod) => listStuck(pod).length > 0 || (!isReady(pod) && isLate(pod)));
  }

  #checkHold(read: Workload): void {
    const facts = { workload: read, record: parseRecord(read.annotations), nowMs: Date.now() };
    const isRescue = !isRolledOut(read);
    // What can be pulled is better than what cannot, even when it did not get ready.
    const isPassed = isRescue && facts.record.hold?.isPullable === true;
    demand(
      isPassed || findFailureHoldEndMs(read, facts.record, facts.nowMs) === undefined,
      `no swap of ${read.name} while it is held`,
    );
    demand(
      isRescue || planRevert(facts)?.is !== 'held',
      `no swap of ${read.name} while its originals are left to others`,
    );
  }

  #checkProof(slots: WorkloadPatch['slots']): void {
    for (const { image } of slots.filter((slot) => isCopyText(slot.image))) {
      demand(this.#registries.wasProven(parseReference(image)), `${image} is in the backup`);
    }
  }

  /**
   * A swap changes where an image comes from, and never which image runs: all pods that show one run it. Where none does,
   * it is what the tag means, or has meant: an index, and never a part of one. When somebody has put the original back,
   * it may also be the image that ran before.
   */
  #checkDigest(live: ModelWorkload, read: Workload, { name, image }: WorkloadPatch['slots'][number]): void {
    const { digest = '' } = parseReference(image);
    const slot = read.slots.find((one) => one.name === name);
    const former = slot && findFormerCopy(slot, read.uid, parseRecord(read.annotations));
    if (former?.digest === digest) {
      return;
    }
    const isKnown = this.#registries.hasMeant(parseReference(live.written[name] ?? ''), digest);
    demand(isKnown, `${name} of ${read.name} gets what its tag has meant, and not ${digest}`);
    const isRescue = !isRolledOut(read);
    const shown = this.#listContents(live, name, { slot, isRescue });
    const isSame = ({ node, content }: (typeof shown)[number]): boolean =>
      content === this.#registries.findContent(digest, node.platform);
    // Which of several it is that pods run, nobody can tell of one that has no image at all.
    const isKept = shown.length === 0 || (isRescue ? shown.some(isSame) : shown.every(isSame));
    demand(isKept, `${name} of ${read.name} goes on with the image that it runs`);
  }

  /** What ready pods run in a container. Rescued are pods that have the original itself, whatever a policy makes of it. */
  #listContents(
    live: ModelWorkload,
    container: string,
    { slot, isRescue }: { readonly slot: Slot | undefined; readonly isRescue: boolean },
  ): readonly { readonly node: ModelNode; readonly content: string }[] {
    return live.pods.filter(isReady).flatMap((pod) => {
      const images = !isRescue && canBeTold(pod, live) ? pod.wanted : pod.images;
      const { [container]: state } = pod.states;
      const isShown = images[container] === slot?.image;
      return isShown && state?.is === 'ready' ? [{ node: pod.node, content: state.content }] : [];
    });
  }
}
