import { vi } from 'vitest';

import { type Reference, parseReference } from '../../src/images/reference.ts';
import type { PodPatch, WorkloadPatch } from '../../src/reconcile/ports.ts';
import { planRestore } from '../../src/reconcile/decide/originals/restore.ts';
import { KIND_NAMES } from '../../src/workloads/kinds.ts';
import { hasRecord, parseRecord } from '../../src/workloads/record.ts';
import type { Workload } from '../../src/workloads/workload.ts';
import { POLICIES, type Policy } from './admission-model.ts';
import type { SwapStop } from '../../src/reconcile/rollouts/swap-stops.ts';
import { ClusterModel, HOSTILE_NAMESPACE, isSettled, type ModelWorkload } from './cluster-model.ts';
import { ControllerModel, type ControllerWorld } from './controller-model.ts';
import { demand } from './demand.ts';
import type { KindName } from './kind-models.ts';
import { NodesModel, QUIRKS, RUNTIMES, type Runtime } from './node-model.ts';
import { PatchPromises, isCopyText } from './patch-promises.ts';
import { isReady } from './pod-model.ts';
import { HOSTS, PLATFORMS, type Parts, RegistryModel } from './registry-model.ts';
import { type Attack, HostileModel } from './hostile-model.ts';
import { showsSource } from './shown-images.ts';
import { ROLLOUT_TIMEOUT_MS, Trials } from './trials.ts';
import { type Trouble, cause } from './troubles.ts';

const SETTINGS = {
  MODE: 'swap',
  REGISTRY_PREFIX: `${HOSTS.backup}/a`,
  ROLLOUT_TIMEOUT: '10m',
  RECHECK_INTERVAL: '168h',
  REQUEUE_AFTER: '6h',
  WORKLOAD_KINDS: KIND_NAMES.join(','),
};
const OTHER_PREFIX = `${HOSTS.backup}/b`;
/** How many different things can happen, with those that happen more often counted so many times. */
export const STEPS = 57;
export const NAMES = ['web', 'api', 'job', 'cache'];
const REPOSITORIES = ['one', 'two', 'three'];
const TAGS = ['1', '2'];
/** Nobody deploys it but the hostile tenant. */
const OTHER_TAG = 'pull-request';
const HOUR_MS = 3_600_000;
/** More than anybody does in nine days who has something to do. */
const MOST_STEPS = 200_000;
/** Permission to ask what admission would make of a pod, and what comes of it. */
export const POD_PREVIEWS = ['seen', 'not permitted', 'unknown'] as const;

/** What a cluster has been like for all its time. */
export interface Conditions {
  readonly podPreviews: (typeof POD_PREVIEWS)[number];
  /** Of each node. */
  readonly runtimes: readonly Runtime[];
  readonly maxRollouts: number;
}

export const USUAL: Conditions = { podPreviews: 'not permitted', runtimes: [], maxRollouts: 1 };

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
  settings: Readonly<Record<string, string>>;
  readonly #trials: Trials;
  readonly #promises: PatchPromises;
  readonly #hostile: HostileModel;
  readonly #maxRollouts: number;
  #controller: ControllerModel;
  #step = 0;
  #images = 0;
  #broken: Error | undefined;
  readonly #checked = new Map<string, number>();
  readonly #kinds = new Map<string, KindName>();
  #patches = 0;

  constructor(kinds: readonly KindName[], { podPreviews, runtimes, maxRollouts }: Conditions = USUAL) {
    this.#maxRollouts = maxRollouts;
    this.settings = { ...SETTINGS, MAX_CONCURRENT_ROLLOUTS: `${maxRollouts}` };
    this.cluster = new ClusterModel(new NodesModel(this.registries, runtimes), () => Date.now());
    this.cluster.podPreviews = podPreviews;
    this.#trials = new Trials(this.cluster);
    const tell = (line: string): void => this.tell(line);
    this.#promises = new PatchPromises({
      cluster: this.cluster,
      registries: this.registries,
      trials: this.#trials,
      tell,
    });
    for (const repository of REPOSITORIES) {
      for (const tag of [...TAGS, OTHER_TAG]) {
        this.#publish(repository, tag);
      }
    }
    this.#hostile = new HostileModel({ cluster: this.cluster, registries: this.registries, tell });
    for (const [index, kind] of kinds.entries()) {
      this.#create(NAMES[index] ?? `more-${index}`, { kind, pick: index });
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
    await this.#choose(op, pick)();
    await settle();
    this.#check();
  }

  /** Nothing happens for an hour, in which much gets backed up. */
  async rest(): Promise<void> {
    this.tell('nobody touches anything for an hour');
    await this.#waitFor(HOUR_MS);
  }

  /** Mends everything, waits for nine days, and expects that all is well and stays so. */
  async calmDown({ isSourceWhole }: { readonly isSourceWhole: boolean }): Promise<void> {
    this.tell('all is mended, and left alone');
    if (isSourceWhole) {
      this.#publishGone();
    }
    this.registries.isUp.source = true;
    this.registries.isUp.backup = true;
    this.registries.completeOrphans();
    this.cluster.policy = 'none';
    const { nodes } = this.cluster;
    nodes.hasBackupAccess = true;
    nodes.broken.clear();
    for (const node of nodes.all) {
      node.quirk = 'none';
    }
    this.#applySettings({ ...this.settings, MODE: 'swap' });
    for (const workload of this.cluster.honest) {
      workload.isPaused = false;
      workload.replicas = 2;
      this.#trials.disturb(workload.name);
      this.cluster.touch(workload.name);
    }
    this.#startRuns();
    await this.#waitFor(HOUR_MS);
    // What it has written would be tried again and again, for days.
    this.#hostile.leave();
    this.#endRuns();
    for (const workload of this.cluster.honest) {
      this.#makeAgree(workload);
    }
    await this.#waitFor(9 * 24 * HOUR_MS);
    this.#checkEnd();
    const before = this.#patches;
    await this.#waitFor(12 * HOUR_MS);
    demand(this.#patches === before, 'no patch when there is nothing left to do');
    await this.#restoreAll();
    this.#controller.kill(0);
  }

  /** Copies are of no use, and everything that can be swapped is: whatever pods are started, all run in the end. */
  async fail(trouble: Trouble): Promise<void> {
    this.tell(trouble);
    cause(this.cluster, trouble);
    // What starts no pods is swapped by then, and what does is held for the second time.
    await this.#waitFor(1.5 * HOUR_MS);
    for (const workload of this.cluster.honest) {
      this.#deletePod(workload, 0);
    }
    this.#startRuns();
    await this.#waitFor(HOUR_MS / 2);
    // They are tried again and again, one at a time.
    const isBack = (workload: ModelWorkload): boolean => this.#isBack(workload, trouble);
    const workloads = this.cluster.honest;
    await this.#waitFor(2 * HOUR_MS, () => workloads.every(isBack));
    for (const workload of workloads) {
      demand(isBack(workload), `${workload.name} runs, and has its originals again`);
    }
    demand(this.#promises.undone >= workloads.length, 'every swap is undone');
    this.#controller.kill(0);
  }

  /** A policy stands in the way of the copies, or changes what runs: nothing is swapped, and users are told why. */
  async refuse(policy: Policy, reason: string): Promise<void> {
    this.#setPolicy(policy);
    await this.#waitFor(26 * HOUR_MS);
    demand(this.#patches === 0, 'nothing is patched');
    for (const { name } of this.cluster.honest) {
      const isTold = this.story.some((line) => line.startsWith(`  event on ${name}: ${reason}: `));
      demand(isTold, `who looks at ${name} is told: ${reason}`);
    }
    this.#controller.kill(0);
  }

  /** Policies and runtimes that change nothing but names: everything is swapped, and stays so. */
  async accept(policy: Policy): Promise<void> {
    this.#setPolicy(policy);
    await this.#waitFor(2 * HOUR_MS);
    const before = this.#patches;
    this.#startRuns();
    await this.#waitFor(26 * HOUR_MS);
    demand(this.#patches === before && this.#promises.undone === 0, 'no swap is undone or made again');
    this.#checkEnd();
    for (const { name, images, pods } of this.cluster.honest) {
      demand(Object.values(images).every(isCopyText), `${name} runs from the backup`);
      demand(pods.every(isReady), `${name} serves`);
    }
    this.#controller.kill(0);
  }

  /** The hostile tenant does the same again and again: others are swapped as if it was not there, and stay so. */
  async withstand(attack: Attack): Promise<void> {
    const isSwapped = ({ images }: ModelWorkload): boolean => Object.values(images).every(isCopyText);
    for (let minutes = 0; minutes < 120; minutes += 5) {
      this.#hostile.insist(attack);
      await this.#waitFor(5 * 60_000);
    }
    for (const workload of this.cluster.honest) {
      demand(isSwapped(workload), `${workload.name} runs from the backup`);
    }
    demand(this.#promises.undone === 0, 'no swap of others is undone');
    this.#controller.kill(0);
  }

  #isBack(workload: ModelWorkload, trouble: Trouble): boolean {
    // Runs of a CronJob may fail for whatever reason: only a copy that cannot be pulled is blamed on the swap.
    const mayStay = workload.kind.kind === 'CronJob' && trouble.startsWith('copies');
    return (
      isSettled(workload) && (mayStay || JSON.stringify(workload.images) === JSON.stringify(workload.written))
    );
  }

  /** The way back leads to what the user wrote, and to nothing else. */
  async #restoreAll(): Promise<void> {
    this.#applySettings({ ...this.settings, MODE: 'restore' });
    await this.#waitFor(36 * HOUR_MS);
    for (const workload of this.cluster.honest) {
      const { name, images, written } = workload;
      demand(JSON.stringify(images) === JSON.stringify(written), `${name} has what the user wrote`);
      demand(!hasRecord(this.cluster.read(workload).annotations), `${name} has nothing of ours`);
    }
  }

  onPatch(read: Workload, patch: WorkloadPatch): void {
    const live = this.cluster.honest.find(({ name }) => name === read.name);
    // What has an original that is gone may be tried again for ever: another swap of it, or a rescue.
    this.#patches += live && this.#canRun(live) ? 1 : 0;
    this.#expect(() => this.#promises.checkPatch(read, patch));
  }

  onTag(copy: Reference, digest: string): void {
    this.#expect(() => this.#promises.checkTag(copy, digest));
  }

  /** Who has not failed themselves is not held for what another tenant shows. */
  onSwappingStopped({ namespace }: SwapStop): void {
    this.tell(`  swapping is stopped${namespace === undefined ? '' : ` in ${namespace}`}`);
    const mayStop = namespace === HOSTILE_NAMESPACE || this.#promises.undone > 0;
    this.#expect(() => demand(mayStop, 'swapping goes on where no swap of others has failed'));
  }

  onPodPatch(read: Workload, patch: PodPatch): void {
    this.#expect(() => this.#promises.checkPodPatch(read, patch));
  }

  /** Thrown at once, it would be an answer of the API server to the controller. */
  #expect(promise: () => void): void {
    try {
      promise();
    } catch (error) {
      this.#broken ??= error as Error;
    }
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
    const byNamespace = Map.groupBy(rolling, ({ namespace }) => namespace);
    const counts = [...byNamespace.values()].map(({ length }) => length);
    // One more than places may roll out when one namespace had them all before another one came.
    const most = Math.max(1, this.#maxRollouts - 1);
    const shared = counts.reduce((sum, count) => sum + Math.min(count, most), 0);
    demand(Math.max(shared, ...counts) <= this.#maxRollouts, `${counts.join(' + ')} rollouts at once`);
    for (const workload of this.cluster.honest) {
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
    for (const workload of this.cluster.honest) {
      const isHopeless = workload.kind.kind === 'CronJob' && !this.#canRun(workload);
      for (const pod of isHopeless ? workload.pods : []) {
        this.cluster.deletePod(workload, pod);
      }
    }
  }

  #checkEnd(): void {
    for (const workload of this.cluster.honest) {
      const canRun = this.#canRun(workload);
      demand(isSettled(workload) || !canRun, `${workload.name} runs`);
      // What cannot be pulled from anywhere is nobody's to mend.
      for (const [container, image] of Object.entries(canRun ? workload.images : {})) {
        const reference = parseReference(image);
        const isGone = this.registries.find(parseReference(workload.written[container] ?? '')) === undefined;
        const isBackedUp = reference.host === HOSTS.backup && this.registries.find(reference) !== undefined;
        demand(isBackedUp || isGone, `${container} of ${workload.name} with ${image} is backed up`);
      }
    }
  }

  /** Moves from timer to timer, with everything that they lead to. */
  async #waitFor(ms: number, isOver = (): boolean => false): Promise<void> {
    const endMs = Date.now() + ms;
    // So that there is a timer to go to, the last one being the end.
    setTimeout(() => undefined, ms);
    await this.#finishAll();
    // Otherwise swaps are not looked after.
    if (['swap', 'copy'].includes(this.settings['MODE'] ?? '')) {
      this.#trials.beginFairTime();
    }
    for (let steps = 0; Date.now() < endMs && !isOver(); steps += 1) {
      demand(steps < MOST_STEPS, 'nobody wakes up again and again for nothing');
      vi.advanceTimersToNextTimer();
      await this.#finishAll();
      this.#trials.check();
    }
    this.#trials.endFairTime();
  }

  /** Answers, hears and advances until nobody has anything to do before time passes. */
  async #finishAll(): Promise<void> {
    await settle();
    for (let steps = 0; ; steps += 1) {
      demand(steps < MOST_STEPS, 'everybody comes to rest before time passes');
      const isWaiting = this.#controller.isBehind() || this.#controller.countRequests() > 0;
      this.#controller.hearPods();
      if (isWaiting) {
        this.#hearAll();
        this.#answerAll(0);
      } else if (!this.#advanceEach()) {
        return;
      }
      await settle();
      this.#check();
    }
  }

  /** One step of every workload that has one to make. */
  #advanceEach(): boolean {
    const steps = [...this.cluster.workloads.values()].map((workload) => this.#advance(workload));
    return steps.includes(true);
  }

  #advanceOne(): boolean {
    return [...this.cluster.workloads.values()].some((workload) => this.#advance(workload));
  }

  #publish(repository: string, tag: string): void {
    this.#images += 1;
    // Every third image is no index.
    const hasParts = this.#images % 3 > 0;
    const digest = this.#define('d', hasParts && { amd64: 'a', arm64: 'b' });
    this.registries.put({ host: HOSTS.source, repository }, tag, digest);
    const hardened = this.#define('c', hasParts && { amd64: 'e', arm64: 'f' });
    this.registries.put({ host: HOSTS.hardened, repository }, tag, hardened);
    this.tell(`${HOSTS.source}/${repository}:${tag} is ${digest.slice(0, 20)} now`);
  }

  /** A pod goes on with what it has pulled, even when it crashes and the new image would not. */
  #publishNew(repository: string, tag: string): void {
    for (const { name, written } of this.cluster.honest) {
      if (Object.values(written).includes(`${HOSTS.source}/${repository}:${tag}`)) {
        this.#trials.disturb(name);
      }
    }
    this.#publish(repository, tag);
  }

  #publishGone(): void {
    for (const repository of REPOSITORIES) {
      for (const tag of TAGS) {
        if (this.registries.find({ host: HOSTS.source, repository, tag }) === undefined) {
          this.#publish(repository, tag);
        }
      }
    }
  }

  /** A new image and its manifests, told apart by a letter in their digests. */
  #define(letter: string, parts: Parts | false): string {
    const toDigest = (filler: string): string =>
      `sha256:${this.#images.toString(16).padStart(12, filler).padEnd(64, '0')}`;
    if (parts) {
      this.registries.define(toDigest(letter), {
        amd64: toDigest(parts.amd64),
        arm64: toDigest(parts.arm64),
      });
    }
    return toDigest(letter);
  }

  #imageOf(pick: number): string {
    return `${HOSTS.source}/${pickOf(REPOSITORIES, pick)}:${pickOf(TAGS, pick >> 2)}`;
  }

  #create(name: string, { kind, pick }: { readonly kind: KindName; readonly pick: number }): void {
    this.#kinds.set(name, kind);
    const images = [this.#imageOf(pick), ...(pick % 2 === 0 ? [this.#imageOf(pick + 1)] : [])];
    this.cluster.create(name, kind, images);
    this.tell(`${name} (${kind}) is created with ${images.join(', ')}`);
  }

  #choose(op: number, pick: number): () => void | Promise<void> {
    const workload = pickOf(this.cluster.honest, pick);
    const random = pick >> 3;
    return pickOf<() => void | Promise<void>>(
      [
        ...times(6, () => this.#controller.answer(pick)),
        ...times(4, () => this.#answerAll(pick)),
        ...times(2, () => this.#controller.hear()),
        ...times(4, () => this.#hearAll()),
        ...times(3, () => this.#controller.hearPods()),
        ...times(4, () => this.#advance(workload)),
        ...times(3, () => this.#advanceAll()),
        ...times(4, () => this.#passTime(pick)),
        () => this.#deploy(workload, random),
        () => this.#putBack(workload),
        () => this.#rollBack(workload, random),
        () => this.#publishNew(pickOf(REPOSITORIES, pick), pickOf(TAGS, random)),
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
        ...times(2, () => this.#goOn(random)),
        ...times(2, () => this.#setPolicy(pickOf(POLICIES, random))),
        ...times(2, () => this.#setQuirk(random)),
        () => this.#changeRuntime(random),
        () => this.#changePreviews(random),
        () => this.#breakImage(random),
        ...times(4, () => this.#hostile.act(pick)),
      ],
      op,
    );
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
      this.#trials.noteSettled(workload);
    }
    return isBusy;
  }

  #passTime(pick: number): void {
    const ms = pickOf([100, 2_000, 20_000, 60_000, 600_000, 2 * HOUR_MS], pick);
    vi.advanceTimersByTime(ms);
    this.tell(`${ms / 1000} s pass`);
  }

  /** Everybody does what they have to. */
  async #goOn(pick: number): Promise<void> {
    const minutes = pickOf([1, 12], pick);
    this.tell(`nothing happens from outside for ${minutes} minutes`);
    await this.#waitFor(minutes * 60_000);
  }

  #setPolicy(policy: Policy): void {
    this.cluster.policy = policy;
    this.tell(`policy for new pods: ${policy}`);
  }

  #setQuirk(pick: number): void {
    const place = pick % PLATFORMS.length;
    const node = this.cluster.nodes.at(place);
    node.quirk = pickOf(QUIRKS, pick >> 1);
    this.tell(`from now on, on the node for ${node.platform}: ${node.quirk}`);
  }

  #changeRuntime(pick: number): void {
    const node = this.cluster.nodes.at(pick % PLATFORMS.length);
    node.runtime = pickOf(RUNTIMES, pick >> 1);
    this.tell(`the runtime of the node for ${node.platform} reports ${node.runtime}`);
  }

  #changePreviews(pick: number): void {
    this.cluster.podPreviews = pickOf(POD_PREVIEWS, pick);
    this.tell(`dry runs of pods: ${this.cluster.podPreviews}`);
  }

  /** It crashes, wherever it is pulled from; of an index, only what is for one platform. */
  #breakImage(pick: number): void {
    const { digest } = pickOf(this.registries.list(HOSTS.source), pick);
    const content = this.registries.findContent(digest, 'arm64');
    this.cluster.nodes.broken.add(content);
    this.tell(`${content.slice(0, 20)} crashes from now on`);
  }

  /** Pods of a workload that do not show which image they run, or another than their template says, are replaced. */
  #makeAgree(workload: ModelWorkload): void {
    if (
      !Object.keys(workload.images).every((container) => showsSource(this.registries, workload, container))
    ) {
      this.tell(`somebody replaces all pods of ${workload.name}`);
      for (const pod of workload.pods) {
        this.cluster.deletePod(workload, pod);
      }
    }
  }

  #deploy(workload: ModelWorkload, pick: number): void {
    const container = pickOf(Object.keys(workload.images), pick);
    const image = this.#imageOf(pick >> 1);
    this.tell(`the user deploys ${container}=${image} to ${workload.name}`);
    this.#trials.end(workload.name);
    this.cluster.apply(workload, { [container]: image });
  }

  #putBack(workload: ModelWorkload): void {
    this.tell(`somebody applies the manifest of ${workload.name} again`);
    this.#trials.end(workload.name);
    this.cluster.apply(workload, workload.written);
  }

  #rollBack(workload: ModelWorkload, pick: number): void {
    this.tell(`somebody rolls ${workload.name} back to revision ${pick % workload.revisions.length}`);
    this.#trials.end(workload.name);
    this.cluster.rollBack(workload, pick);
  }

  #unpublish(repository: string, tag: string): void {
    this.tell(`${repository}:${tag} is removed at the source`);
    this.registries.removeTag({ host: HOSTS.source, repository }, tag);
  }

  #toggle(side: 'source' | 'backup'): void {
    this.registries.isUp[side] = !this.registries.isUp[side];
    this.tell(`the ${side} is ${this.registries.isUp[side] ? 'up' : 'down'}`);
  }

  #loseCopy(pick: number): void {
    const copies = this.registries.list(HOSTS.backup);
    if (copies.length > 0) {
      const { repository, digest } = pickOf(copies, pick);
      this.tell(`the backup loses ${repository}@${digest.slice(0, 20)}`);
      this.registries.lose({ host: HOSTS.backup, repository }, digest, this.#step);
    }
  }

  #toggleAccess(): void {
    this.cluster.nodes.hasBackupAccess = !this.cluster.nodes.hasBackupAccess;
    this.tell(`the nodes ${this.cluster.nodes.hasBackupAccess ? 'can' : 'cannot'} pull from the backup`);
  }

  #restart(pick: number): void {
    this.tell('the controller is killed, and another one starts');
    this.#controller.kill(pick);
    this.#controller = new ControllerModel(this);
  }

  #recreate(workload: ModelWorkload, pick: number): void {
    this.tell(`${workload.name} is deleted and created anew`);
    this.#trials.end(workload.name);
    this.cluster.delete(workload);
    this.#create(workload.name, { kind: this.#kinds.get(workload.name) ?? 'Deployment', pick });
  }

  #scale(workload: ModelWorkload): void {
    workload.replicas = workload.replicas === 0 ? 2 : 0;
    workload.generation += workload.kind.scales === 'by spec' ? 1 : 0;
    this.#trials.disturb(workload.name);
    this.tell(`${workload.name} is scaled to ${workload.replicas}`);
    this.cluster.touch(workload.name);
  }

  #pause(workload: ModelWorkload): void {
    if (workload.kind.canBePaused) {
      workload.isPaused = !workload.isPaused;
      workload.generation += 1;
      this.#trials.disturb(workload.name);
      this.tell(`${workload.name} is ${workload.isPaused ? 'paused' : 'resumed'}`);
      this.cluster.touch(workload.name);
    }
  }

  #deletePod(workload: ModelWorkload, pick: number): void {
    if (workload.pods.length > 0) {
      const pod = pickOf(workload.pods, pick);
      this.#trials.disturb(workload.name);
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
