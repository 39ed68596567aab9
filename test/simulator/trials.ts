import { admit } from './admission-model.ts';
import { type ClusterModel, type ModelWorkload, isHostile, isSettled } from './cluster-model.ts';
import { demand } from './demand.ts';
import type { ContainerState } from './node-model.ts';
import { type Images, isReady } from './pod-model.ts';
import { HOSTS } from './registry-model.ts';

export const ROLLOUT_TIMEOUT_MS = 600_000;
/** Of pods that cannot pull: registries stumble. */
const PULL_GRACE_MS = 45_000;
/** An image that crashes gets that long where no pod serves, and otherwise as long as any that does not get ready. */
const CRASH_GRACE_MS = 120_000;
/** The controller looks at the pods of a swap that often, and less often the older it is. */
const SHORTEST_LOOK_MS = 10_000;
/** For the answers to what it asks meanwhile: here, requests wait for nothing but the clock. */
const ANSWERS_MS = 5_000;
const GRACES_MS: Readonly<Record<ContainerState['is'], number>> = {
  'not pulled': PULL_GRACE_MS,
  crashes: ROLLOUT_TIMEOUT_MS,
  'not ready': ROLLOUT_TIMEOUT_MS,
  ready: 0,
};
/** The controller takes its failure for that of a swap for a day; a request of it may be on its way for hours. */
const LONGEST_MS = 12 * 3_600_000;

/** A swap of a workload that served, from the patch until it serves again. */
interface Trial {
  readonly uid: string;
  /** What it served with. Unless that would serve now as well, nobody can be blamed. */
  readonly before: Images;
  readonly swappedAtMs: number;
  /** Since when nobody keeps the controller from its work; undefined while somebody does. */
  fairSinceMs: number | undefined;
  /** Somebody else is at work on the workload: when it serves is up to them, too. */
  isDisturbed: boolean;
  /** Since then it has had no ready pod. */
  downSinceMs: number | undefined;
}

/**
 * What swaps may do to workloads that served: each serves again within the grace, and where nothing has ever run from
 * the backup, one of them is tried at a time.
 */
export class Trials {
  readonly #cluster: ClusterModel;
  readonly #open = new Map<string, Trial>();
  #isProven = false;
  #isFair = false;

  constructor(cluster: ClusterModel) {
    this.#cluster = cluster;
  }

  /** A workload that serves, and that nothing has happened to yet, is about to be swapped. */
  begin(live: ModelWorkload): void {
    if (!live.kind.rollsOut || live.replicas === 0) {
      return;
    }
    const others = this.#listOthers(live);
    const what = `${live.name} is not swapped while nobody has seen that ${others.join(' and ')} runs from the backup`;
    demand(this.#isProven || others.length === 0, what);
    const nowMs = Date.now();
    this.#open.set(live.name, {
      uid: live.uid,
      before: live.images,
      swappedAtMs: nowMs,
      fairSinceMs: this.#isFair ? nowMs : undefined,
      isDisturbed: false,
      downSinceMs: undefined,
    });
  }

  /** All pods of its template are there and ready. */
  noteSettled(live: ModelWorkload): void {
    if (isHostile(live)) {
      return;
    }
    this.#open.delete(live.name);
    const runsCopy = Object.values(live.images).some((image) => image.startsWith(`${HOSTS.backup}/`));
    this.#isProven ||= runsCopy && live.kind.rollsOut && live.replicas > 0;
  }

  /** The controller has written its template once more. */
  noteUndo({ name }: ModelWorkload): void {
    const trial = this.#open.get(name);
    if (trial?.fairSinceMs !== undefined) {
      trial.fairSinceMs = Date.now();
    }
  }

  /** Somebody else has written its template: what becomes of that is theirs. */
  end(name: string): void {
    this.#open.delete(name);
  }

  disturb(name: string): void {
    const trial = this.#open.get(name);
    if (trial) {
      trial.isDisturbed = true;
    }
  }

  /** From now on everything is answered and heard at once, and nothing changes but by the controller. */
  beginFairTime(): void {
    this.#isFair = true;
    for (const trial of this.#open.values()) {
      trial.fairSinceMs = Date.now();
      trial.downSinceMs = undefined;
    }
  }

  endFairTime(): void {
    this.#isFair = false;
    for (const trial of this.#open.values()) {
      trial.fairSinceMs = undefined;
    }
  }

  /** To be called in fair time, when nobody has anything to do before time passes. */
  check(): void {
    for (const [name, trial] of this.#open) {
      const live = this.#cluster.workloads.get(name);
      if (live?.uid === trial.uid && !trial.isDisturbed && trial.fairSinceMs !== undefined) {
        trial.downSinceMs = live.pods.some(isReady) ? undefined : (trial.downSinceMs ?? Date.now());
        this.#checkOne(live, { ...trial, fairSinceMs: trial.fairSinceMs });
      }
    }
  }

  #checkOne(live: ModelWorkload, trial: Trial & { readonly fairSinceMs: number }): void {
    const { fairSinceMs, swappedAtMs, downSinceMs = Infinity, before } = trial;
    const nowMs = Date.now();
    const shown = live.pods.flatMap((pod) => Object.values(pod.states).map(({ is }) => is));
    const states = [...shown, ...this.#tryOut(live.images)];
    // As often as the controller looks at its pods by then.
    const lookMs = Math.max(SHORTEST_LOOK_MS, (nowMs - swappedAtMs) / 60) + ANSWERS_MS;
    const graceMs = Math.max(...states.map((is) => GRACES_MS[is])) + lookMs;
    const isInTime =
      nowMs - fairSinceMs < graceMs &&
      !(states.includes('crashes') && nowMs - downSinceMs >= CRASH_GRACE_MS + lookMs);
    const isOver = nowMs - swappedAtMs >= LONGEST_MS || isSettled(live);
    demand(
      isInTime || isOver || !this.#isServable(before, live),
      `${live.name} served before its swap and serves again after ${graceMs / 1000} s`,
    );
  }

  /** How the containers of a pod that was made of a template now would do, on each node. */
  #tryOut(images: Images, policy = this.#cluster.policy): readonly ContainerState['is'][] {
    const { nodes } = this.#cluster;
    return nodes.all.flatMap((node) =>
      Object.values(images).map((image) => nodes.tryOut(admit(policy, image), node).is),
    );
  }

  #isServable(images: Images, { pods }: ModelWorkload): boolean {
    // What a pod gets in place does not pass admission.
    const isReplaced = pods.some(({ replacedAtMs }) => replacedAtMs !== undefined);
    const states = [...this.#tryOut(images), ...(isReplaced ? this.#tryOut(images, 'none') : [])];
    return states.every((is) => is === 'ready');
  }

  #listOthers({ name, uid }: ModelWorkload): readonly string[] {
    return [...this.#open].flatMap(([other, trial]) => {
      const live = this.#cluster.workloads.get(other);
      const isOpen = live?.uid === trial.uid && Date.now() - trial.swappedAtMs < LONGEST_MS;
      return isOpen && (other !== name || trial.uid !== uid) ? [other] : [];
    });
  }
}
