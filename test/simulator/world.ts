import { vi } from 'vitest';

import { parseReference } from '../../src/images/reference.ts';
import type { PodPatch, WorkloadPatch } from '../../src/reconcile/ports.ts';
import { findFormerCopy, planRevert } from '../../src/reconcile/rules/revert.ts';
import { findHoldEndMs } from '../../src/reconcile/rules/undo.ts';
import { planRestore } from '../../src/reconcile/rules/restore.ts';
import { KIND_NAMES } from '../../src/workloads/kinds.ts';
import { bearsRecord, parseRecord } from '../../src/workloads/record.ts';
import { isRolledOut } from '../../src/workloads/rollout.ts';
import type { Workload } from '../../src/workloads/workload.ts';
import { BACKUP_HOST, ClusterModel, isSettled, type ModelWorkload } from './cluster-model.ts';
import type { KindName } from './kind-models.ts';
import { ControllerModel, type ControllerWorld } from './controller-model.ts';
import { RegistryModel } from './registry-model.ts';

const MAX_ROLLOUTS = 1;
const ROLLOUT_TIMEOUT_MS = 600_000;
const SETTINGS = {
  MODE: 'swap',
  REGISTRY_PREFIX: `${BACKUP_HOST}/a`,
  MAX_CONCURRENT_ROLLOUTS: `${MAX_ROLLOUTS}`,
  ROLLOUT_TIMEOUT: '10m',
  RECHECK_INTERVAL: '168h',
  REQUEUE_AFTER: '1h',
  WORKLOAD_KINDS: KIND_NAMES.join(','),
};
const OTHER_PREFIX = `${BACKUP_HOST}/b`;
export const NAMES = ['web', 'api', 'job', 'cache'];
const REPOSITORIES = ['one', 'two', 'three'];
const TAGS = ['1', '2'];
const SOURCE = 'source.example';
const HOUR_MS = 3_600_000;
/** More than anybody does in nine days who has something to do. */
const MOST_STEPS = 200_000;
/** Of pods that are not there, before that counts as a failed swap. */
const SHORTEST_GRACE_MS = 10_000;

/** One thing that happens, chosen by two numbers so that fast-check can make it simpler. */
export interface Step {
  readonly op: number;
  readonly pick: number;
}

function pickOf<T>(list: readonly T[], pick: number): T {
  const item = list[pick % list.length];
  if (item === undefined) {
    throw new Error('nothing to pick from');
  }
  return item;
}

function times<T>(count: number, item: T): readonly T[] {
  return Array.from({ length: count }, () => item);
}

/** A promise that was not kept. Much faster than `expect`, and asked a thousand times a second. */
function demand(isKept: boolean, what: string): void {
  if (!isKept) {
    throw new Error(`broken: ${what}`);
  }
}

function withoutNull(annotations: WorkloadPatch['annotations']): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(annotations).filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

/** Lets everything that waits for nothing but its turn go on. */
async function settle(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** A cluster, two registries, and a controller that is killed now and then. Says of every step what may never be. */
export class World implements ControllerWorld {
  readonly registries = new RegistryModel();
  readonly cluster: ClusterModel;
  readonly story: string[] = [];
  settings: Readonly<Record<string, string>> = SETTINGS;
  #controller: ControllerModel;
  #step = 0;
  #images = 0;
  #broken: Error | undefined;
  readonly #checked = new Map<string, number>();
  readonly #kinds = new Map<string, KindName>();
  #patches = 0;

  constructor(kinds: readonly KindName[]) {
    this.cluster = new ClusterModel(this.registries, () => Date.now());
    for (const repository of REPOSITORIES) {
      for (const tag of TAGS) {
        this.#publish(repository, tag);
      }
    }
    for (const [index, name] of NAMES.entries()) {
      this.#create(name, { kind: kinds[index] ?? 'Deployment', pick: index });
    }
    this.#controller = new ControllerModel(this);
  }

  step(): number {
    return this.#step;
  }

  tell(line: string): void {
    this.story.push(line);
  }

  /** Does one thing, lets everything that can go on go on, and checks. */
  async take({ op, pick }: Step): Promise<void> {
    this.#step += 1;
    this.#act(op, pick);
    await settle();
    this.#check();
  }

  /** Nothing happens for an hour, in which much gets backed up. */
  async rest(): Promise<void> {
    this.tell('nobody touches anything for an hour');
    await this.#waitFor(HOUR_MS);
  }

  /** Mends everything, waits for nine days, and expects that all is well and stays so. */
  async calmDown(): Promise<void> {
    this.tell('all is mended, and left alone');
    this.registries.isUp.source = true;
    this.registries.isUp.backup = true;
    this.cluster.hasBackupAccess = true;
    this.#applySettings({ ...this.settings, MODE: 'swap' });
    for (const workload of this.cluster.workloads.values()) {
      workload.isPaused = false;
      workload.replicas = 2;
      this.cluster.touch(workload.name);
    }
    this.#startRuns();
    await this.#waitFor(HOUR_MS);
    this.#endRuns();
    await this.#waitFor(9 * 24 * HOUR_MS);
    this.#checkEnd();
    const before = this.#patches;
    await this.#waitFor(12 * HOUR_MS);
    demand(this.#patches === before, 'no patch when there is nothing left to do');
    await this.#restoreAll();
    this.#controller.kill(0);
  }

  /** No node can pull a copy, and everything that can be swapped is: whatever pods are started, all run in the end. */
  async fail(): Promise<void> {
    this.#toggleAccess();
    // What starts no pods is swapped by then, and what does is held for the second time.
    await this.#waitFor(1.5 * HOUR_MS);
    for (const workload of this.cluster.workloads.values()) {
      this.#deletePod(workload, 0);
    }
    this.#startRuns();
    await this.#waitFor(HOUR_MS / 2);
    for (const workload of this.cluster.workloads.values()) {
      demand(isSettled(workload), `${workload.name} runs`);
      const isBack = JSON.stringify(workload.images) === JSON.stringify(workload.written);
      demand(isBack, `${workload.name} has its originals again`);
    }
    this.#controller.kill(0);
  }

  /** The way back leads to what the user wrote, and to nothing else. */
  async #restoreAll(): Promise<void> {
    this.#applySettings({ ...this.settings, MODE: 'restore' });
    await this.#waitFor(12 * HOUR_MS);
    for (const workload of this.cluster.workloads.values()) {
      const { name, images, written } = workload;
      demand(JSON.stringify(images) === JSON.stringify(written), `${name} has what the user wrote`);
      demand(!bearsRecord(this.cluster.read(workload).annotations), `${name} bears nothing of ours`);
    }
  }

  onPatch(read: Workload, patch: WorkloadPatch): void {
    this.#patches += 1;
    try {
      this.#checkPatch(read, patch);
    } catch (error) {
      // Thrown here, it would be an answer of the API server to the controller.
      this.#broken ??= error as Error;
    }
  }

  /** Only for a pod that never started, and only to what the template says. */
  onPodPatch(read: Workload, { name, uid, slots }: PodPatch): void {
    const pod = this.cluster.workloads.get(read.name)?.pods.find((one) => one.uid === uid);
    if (!pod) {
      return;
    }
    this.tell(`  patch of the pod ${name}: ${slots.map((slot) => `${slot.name}=${slot.image}`).join(', ')}`);
    try {
      for (const { name: container, image } of slots) {
        const slot = read.slots.find((one) => one.name === container);
        const isBackedUp =
          !image.startsWith(`${BACKUP_HOST}/`) || this.registries.wasProven(parseReference(image));
        demand(slot?.image === image && isBackedUp, `the pod ${name} gets an image of its template`);
      }
    } catch (error) {
      this.#broken ??= error as Error;
    }
  }

  #checkPatch(read: Workload, { slots, annotations }: WorkloadPatch): void {
    const live = this.cluster.workloads.get(read.name);
    if (live?.uid !== read.uid || `${live.resourceVersion}` !== read.resourceVersion) {
      return;
    }
    this.tell(`  patch of ${read.name}: ${slots.map(({ name, image }) => `${name}=${image}`).join(', ')}`);
    this.#checkCopies(read, slots);
    if (Object.values(annotations).every((value) => value === null)) {
      // A restore keeps to the budget where pods that serve are replaced.
      live.swappedAtMs = live.kind.rollsOut && slots.length > 0 && isSettled(live) ? Date.now() : undefined;
    } else if (slots.length > 0) {
      this.#noteSwap(live, read, { slots, annotations });
    }
  }

  #noteSwap(live: ModelWorkload, read: Workload, { annotations }: WorkloadPatch): void {
    const next = parseRecord(withoutNull(annotations));
    // Only what goes back has nothing that it could go back to.
    const isUndo = next.before.size === 0;
    // As decided: the request may have been on its way for long. A rescue waits for no place, and takes none here.
    live.swappedAtMs = isUndo || !isRolledOut(read) || !live.kind.rollsOut ? undefined : next.swappedAtMs;
    if (isUndo) {
      const isMissing = Date.now() - (live.missingSinceMs ?? Infinity) >= SHORTEST_GRACE_MS;
      const isStuck = live.pods.some(({ stuck }) => stuck.length > 0);
      demand(isMissing || isStuck, `no undo of ${read.name} while nothing is wrong with its pods`);
    } else {
      this.#checkHold(read);
    }
  }

  #checkHold(read: Workload): void {
    const facts = { workload: read, record: parseRecord(read.annotations), nowMs: Date.now() };
    demand(
      findHoldEndMs(read, facts.record, facts.nowMs) === undefined,
      `no swap of ${read.name} while it is held`,
    );
    const isRescue = !isRolledOut(read);
    demand(
      isRescue || planRevert(facts)?.is !== 'held',
      `no swap of ${read.name} while its originals are left to others`,
    );
  }

  #checkCopies(read: Workload, slots: WorkloadPatch['slots']): void {
    for (const { name, image } of slots.filter(({ image: text }) => text.startsWith(`${BACKUP_HOST}/`))) {
      const copy = parseReference(image);
      demand(this.registries.wasProven(copy), `${image} is in the backup`);
      this.#checkDigest(read, name, copy.digest);
    }
  }

  /**
   * A swap changes where an image comes from, and never which image runs; when somebody has put the original back, it
   * may also be the image that ran before.
   */
  #checkDigest(read: Workload, container: string, digest: string | undefined): void {
    const live = this.cluster.workloads.get(read.name);
    const running = (live?.pods ?? []).flatMap((pod) =>
      pod.digests && pod.images[container] === live?.images[container] ? (pod.digests[container] ?? []) : [],
    );
    const slot = read.slots.find(({ name }) => name === container);
    const former = slot && findFormerCopy(slot, read.uid, parseRecord(read.annotations));
    demand(
      running.length === 0 || [...running, former?.digest].includes(digest ?? ''),
      `${container} of ${read.name} goes on with the image that it runs`,
    );
  }

  #check(): void {
    if (this.#broken) {
      throw this.#broken;
    }
    const [bug] = this.#controller.bugs;
    demand(bug === undefined, `no failure that nobody has thought of: ${bug ?? ''}`);
    const rolling = [...this.cluster.workloads.values()].filter(
      ({ swappedAtMs = 0 }) => Date.now() - swappedAtMs < ROLLOUT_TIMEOUT_MS,
    );
    demand(rolling.length <= MAX_ROLLOUTS, `${rolling.length} rollouts at once`);
    for (const workload of this.cluster.workloads.values()) {
      this.#checkWritten(workload);
    }
  }

  #checkWritten(workload: ModelWorkload): void {
    if (this.#checked.get(workload.name) !== workload.resourceVersion) {
      this.#checked.set(workload.name, workload.resourceVersion);
      const restored = JSON.stringify(this.#restore(workload));
      demand(
        restored === JSON.stringify(workload.written),
        `what the user wrote in ${workload.name} can be put back, and not ${restored}`,
      );
    }
  }

  /** What MODE=restore would lead to. */
  #restore(workload: ModelWorkload): Readonly<Record<string, string>> {
    const read = this.cluster.read(workload);
    const patch = planRestore(read, parseRecord(read.annotations));
    const images = patch?.slots.map(({ name, image }) => [name, image] as const) ?? [];
    return { ...workload.images, ...Object.fromEntries(images) };
  }

  #canRun({ images }: ModelWorkload): boolean {
    return Object.values(images).every((image) => this.registries.find(parseReference(image)));
  }

  /** Runs that have no image to wait for reach the deadline of their Job. */
  #endRuns(): void {
    for (const workload of this.cluster.workloads.values()) {
      const isHopeless = workload.kind.kind === 'CronJob' && !this.#canRun(workload);
      for (const pod of isHopeless ? workload.pods : []) {
        this.cluster.deletePod(workload, pod);
      }
    }
  }

  #checkEnd(): void {
    for (const workload of this.cluster.workloads.values()) {
      const canRun = this.#canRun(workload);
      demand(isSettled(workload) || !canRun, `${workload.name} runs`);
      // What cannot be pulled from anywhere is nobody's to mend.
      for (const [container, image] of Object.entries(canRun ? workload.images : {})) {
        const reference = parseReference(image);
        const isGone = this.registries.find(parseReference(workload.written[container] ?? '')) === undefined;
        const isBackedUp = reference.host === BACKUP_HOST && this.registries.find(reference) !== undefined;
        demand(isBackedUp || isGone, `${container} of ${workload.name} with ${image} is backed up`);
      }
    }
  }

  /** Moves from timer to timer, with everything that they lead to. */
  async #waitFor(ms: number): Promise<void> {
    const endMs = Date.now() + ms;
    // So that there is a timer to go to, the last one being the end.
    setTimeout(() => undefined, ms);
    await this.#finishAll();
    for (let steps = 0; Date.now() < endMs; steps += 1) {
      demand(steps < MOST_STEPS, 'nobody wakes up again and again for nothing');
      vi.advanceTimersToNextTimer();
      await this.#finishAll();
    }
  }

  /** Answers, hears and advances until nobody has anything to do before time passes. */
  async #finishAll(): Promise<void> {
    await settle();
    for (let steps = 0; ; steps += 1) {
      demand(steps < MOST_STEPS, 'everybody comes to rest before time passes');
      const isHearing = this.#controller.isBehind();
      const isAsking = this.#controller.countRequests() > 0;
      if (isHearing) {
        this.#controller.hear();
      } else if (isAsking) {
        this.#controller.answer(0);
      } else if (!this.#advanceOne()) {
        return;
      }
      await settle();
      this.#check();
    }
  }

  #advanceOne(): boolean {
    return [...this.cluster.workloads.values()].some((workload) => this.#advance(workload));
  }

  #publish(repository: string, tag: string): void {
    this.#images += 1;
    const digest = `sha256:${this.#images.toString(16).padStart(12, 'd').padEnd(64, '0')}`;
    this.registries.put({ host: SOURCE, repository }, tag, digest);
    this.tell(`${SOURCE}/${repository}:${tag} is ${digest.slice(0, 20)} now`);
  }

  #imageOf(pick: number): string {
    return `${SOURCE}/${pickOf(REPOSITORIES, pick)}:${pickOf(TAGS, pick >> 2)}`;
  }

  #create(name: string, { kind, pick }: { readonly kind: KindName; readonly pick: number }): void {
    this.#kinds.set(name, kind);
    const images = [this.#imageOf(pick), ...(pick % 2 === 0 ? [this.#imageOf(pick + 1)] : [])];
    this.cluster.create(name, kind, images);
    this.tell(`${name} (${kind}) is created with ${images.join(', ')}`);
  }

  #act(op: number, pick: number): void {
    const workload = pickOf([...this.cluster.workloads.values()], pick);
    const random = pick >> 3;
    pickOf<() => void>(
      [
        ...times(6, () => this.#controller.answer(pick)),
        ...times(4, () => this.#answerAll(pick)),
        ...times(2, () => this.#controller.hear()),
        ...times(4, () => this.#hearAll()),
        ...times(4, () => this.#advance(workload)),
        ...times(3, () => this.#advanceAll()),
        ...times(4, () => this.#passTime(pick)),
        () => this.#deploy(workload, random),
        () => this.#putBack(workload),
        () => this.#rollBack(workload, random),
        () => this.#publish(pickOf(REPOSITORIES, pick), pickOf(TAGS, random)),
        () => this.#unpublish(pickOf(REPOSITORIES, pick), pickOf(TAGS, random)),
        () => this.#toggle('source'),
        () => this.#toggle('backup'),
        () => this.#loseCopy(random),
        () => this.#toggleAccess(),
        () => this.#restart(random),
        () => this.#recreate(workload, random),
        () => this.#scale(workload),
        () => this.#pause(workload),
        () => this.#deletePod(workload, random),
        () => this.#startRuns(),
        () => this.#moveBackup(),
        () => this.#switchMode(random),
      ],
      op,
    )();
  }

  /** What is on its way now, in any order; not what comes of it. */
  #answerAll(pick: number): void {
    for (let left = this.#controller.countRequests(); left > 0; left -= 1) {
      this.#controller.answer(pick);
    }
  }

  #hearAll(): void {
    while (this.#controller.isBehind()) {
      this.#controller.hear();
    }
  }

  #advanceAll(): void {
    while (this.#advanceOne()) {
      // Until all that can start has started.
    }
  }

  #advance(workload: ModelWorkload): boolean {
    const isBusy = this.cluster.advance(workload);
    if (isSettled(workload)) {
      workload.swappedAtMs = undefined;
    }
    return isBusy;
  }

  #passTime(pick: number): void {
    const ms = pickOf([100, 2_000, 20_000, 60_000, 600_000, 2 * HOUR_MS], pick);
    vi.advanceTimersByTime(ms);
    this.tell(`${ms / 1000} s pass`);
  }

  #deploy(workload: ModelWorkload, pick: number): void {
    const container = pickOf(Object.keys(workload.images), pick);
    const image = this.#imageOf(pick >> 1);
    this.tell(`the user deploys ${container}=${image} to ${workload.name}`);
    this.cluster.apply(workload, { [container]: image });
  }

  #putBack(workload: ModelWorkload): void {
    this.tell(`somebody applies the manifest of ${workload.name} again`);
    this.cluster.apply(workload, workload.written);
  }

  #rollBack(workload: ModelWorkload, pick: number): void {
    this.tell(`somebody rolls ${workload.name} back to revision ${pick % workload.revisions.length}`);
    this.cluster.rollBack(workload, pick);
  }

  #unpublish(repository: string, tag: string): void {
    this.tell(`${repository}:${tag} is removed at the source`);
    this.registries.removeTag({ host: SOURCE, repository }, tag);
  }

  #toggle(side: 'source' | 'backup'): void {
    this.registries.isUp[side] = !this.registries.isUp[side];
    this.tell(`the ${side} is ${this.registries.isUp[side] ? 'up' : 'down'}`);
  }

  #loseCopy(pick: number): void {
    const copies = this.registries.list(BACKUP_HOST);
    if (copies.length > 0) {
      const { repository, digest } = pickOf(copies, pick);
      this.tell(`the backup loses ${repository}@${digest.slice(0, 20)}`);
      this.registries.lose({ host: BACKUP_HOST, repository }, digest, this.#step);
    }
  }

  #toggleAccess(): void {
    this.cluster.hasBackupAccess = !this.cluster.hasBackupAccess;
    this.tell(`the nodes ${this.cluster.hasBackupAccess ? 'can' : 'cannot'} pull from the backup`);
  }

  #restart(pick: number): void {
    this.tell('the controller is killed, and another one starts');
    this.#controller.kill(pick);
    this.#controller = new ControllerModel(this);
  }

  #recreate(workload: ModelWorkload, pick: number): void {
    this.tell(`${workload.name} is deleted and created anew`);
    this.cluster.delete(workload);
    this.#create(workload.name, { kind: this.#kinds.get(workload.name) ?? 'Deployment', pick });
  }

  #scale(workload: ModelWorkload): void {
    workload.replicas = workload.replicas === 0 ? 2 : 0;
    workload.generation += workload.kind.scales === 'by spec' ? 1 : 0;
    this.tell(`${workload.name} is scaled to ${workload.replicas}`);
    this.cluster.touch(workload.name);
  }

  #pause(workload: ModelWorkload): void {
    if (workload.kind.canBePaused) {
      workload.isPaused = !workload.isPaused;
      workload.generation += 1;
      this.tell(`${workload.name} is ${workload.isPaused ? 'paused' : 'resumed'}`);
      this.cluster.touch(workload.name);
    }
  }

  #deletePod(workload: ModelWorkload, pick: number): void {
    if (workload.pods.length > 0) {
      const pod = pickOf(workload.pods, pick);
      this.tell(`somebody deletes the pod ${pod.name}`);
      this.cluster.deletePod(workload, pod);
    }
  }

  #startRuns(): void {
    this.tell('it is time for a run of every CronJob');
    for (const workload of this.cluster.workloads.values()) {
      this.cluster.startRun(workload);
    }
  }

  #switchMode(pick: number): void {
    this.#applySettings({ ...this.settings, MODE: pickOf(['swap', 'copy', 'observe'], pick) });
  }

  #moveBackup(): void {
    const isThere = this.settings['REGISTRY_PREFIX'] === SETTINGS.REGISTRY_PREFIX;
    const prefix = isThere ? OTHER_PREFIX : SETTINGS.REGISTRY_PREFIX;
    this.#applySettings({ ...this.settings, REGISTRY_PREFIX: prefix });
  }

  #applySettings(settings: Readonly<Record<string, string>>): void {
    this.settings = settings;
    this.tell(
      `MODE is ${settings['MODE'] ?? ''}, REGISTRY_PREFIX is ${settings['REGISTRY_PREFIX'] ?? ''} now`,
    );
    this.#controller.applySettings(settings);
  }
}
