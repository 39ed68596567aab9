import { KINDS, type WorkloadName, formatWorkloadKey } from '../../workloads/kinds.ts';
import { type SwapRecord, parseRecord } from '../../workloads/record.ts';
import { runsTemplate } from '../../workloads/rollout.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { RolloutWait } from '../decide/rollout-wait.ts';
import { ActiveNamespaces } from './active-namespaces.ts';
import { type WaiterFacts, chooseNext } from './choose-next.ts';
import { OwnSwaps } from './own-swaps.ts';
import { type OwnPatch, Permits, hasRolledOut } from './permits.ts';
import { findRolloutWait, findRisk } from './turns.ts';
import { type Places, createRoom } from './room.ts';
import { ProvenNamespaces } from './proven-namespaces.ts';
import { SwapStops, type SwapStopsOptions } from './swap-stops.ts';
import { findSwapOutcome } from './swap-outcome.ts';
import { SwapTrials } from './swap-trials.ts';
import { type ToldOutcome, mayBelieve } from './told-outcome.ts';
import { WaitingLine } from './waiting-line.ts';

/** How far the clocks of two controllers may be apart. */
const SKEW_MS = 60_000;

export interface RolloutBudgetOptions extends SwapStopsOptions {
  readonly limits: () => { readonly maxRollouts: number; readonly timeoutMs: number };
  /** Whether an image lies in the backup of today. */
  readonly isCopy: (image: string) => boolean;
  /** Called with the key of a workload that waited for a permit and may try again. */
  readonly onFree: (workloadKey: string) => void;
}

/**
 * Which workload may be swapped when. Who rolls out is derived from what the cluster shows (a swap is recorded on the
 * workload), so that a restart or a new leader counts the same. Annotations are anybody's, though: once this process
 * leads, it is the only one that swaps, and a record that is newer than that and not its own is forged. What would reach
 * beyond a namespace, which is a failure or a success, counts only when this process has seen to it itself. A restore
 * leaves no record, so its permit is held in memory.
 */
export class RolloutBudget {
  readonly #options: RolloutBudgetOptions;
  readonly #permits: Permits;
  readonly #waiting = new WaitingLine();
  readonly #proven = new ProvenNamespaces();
  readonly #stops: SwapStops;
  readonly #trials = new SwapTrials();
  readonly #ownSwaps = new OwnSwaps();
  readonly #active: ActiveNamespaces;
  #leadingSinceMs: number | undefined;

  constructor(options: RolloutBudgetOptions) {
    this.#options = options;
    this.#permits = new Permits(options.nowMs);
    this.#active = new ActiveNamespaces(options.nowMs);
    this.#stops = new SwapStops(options);
  }

  /** From now on only this process swaps. */
  start(): void {
    this.#leadingSinceMs = this.#options.nowMs();
    this.#stops.start();
  }

  /** Called for every change of a workload; `workload` is undefined once it is deleted. */
  observe(key: string, workload: Workload | undefined): void {
    if (!workload) {
      this.#permits.delete(key);
      this.#permits.uncall(key);
      this.#waiting.delete(key);
      this.#proven.forget(key);
      this.#trials.end(key);
      this.#ownSwaps.forget(key);
      this.#wakeWaiting();
      return;
    }
    if (
      this.#leadingSinceMs === undefined &&
      workload.slots.some(({ image }) => !this.#options.isCopy(image))
    ) {
      // It will want a place when this process leads.
      this.#active.note(workload.namespace);
    }
    const hadPermit = this.#permits.has(key);
    const hadTrial = this.#trials.has(key);
    const record = parseRecord(workload.annotations);
    this.#observePermit(key, workload, record);
    const isNews = this.#observeProof(key, workload);
    const isOver = (hadPermit && !this.#permits.has(key)) || (hadTrial && !this.#trials.has(key));
    if (isNews || isOver) {
      this.#wakeWaiting();
    }
  }

  /** All pods of the last swap of a workload were seen to run its copies. */
  noteSuccess(key: string, workload: Workload): void {
    const trial = this.#trials.end(key);
    if (trial?.isOwn) {
      this.#stops.noteSuccess(workload.namespace, trial.atMs);
    }
    if (trial) {
      this.#observeProof(key, workload);
      this.#wakeWaiting();
    }
  }

  /** Whether this workload, too, may roll out because of us. */
  isFree(workload: WorkloadName): boolean {
    return this.#countFreeFor(workload) > 0;
  }

  /** Undefined: it is this workload's turn, which always is that of one that does not roll out. */
  findReasonToWait(workload: WorkloadName): RolloutWait | undefined {
    const { kind, namespace } = workload;
    const isStopped = this.#stops.isStopped(namespace);
    if (!KINDS[kind].rollsOut) {
      return isStopped ? 'swapping stopped' : undefined;
    }
    return findRolloutWait({
      isStopped,
      freePermits: this.#countFreeFor(workload),
      isNamespaceProven: this.#proven.has(namespace),
      isNamespaceRolling: this.#isRolling(namespace, formatWorkloadKey(workload)),
    });
  }

  /** Takes a permit for the swap that is about to be made; false when it is not the workload's turn. */
  tryReserve(key: string, workload: Workload, options: { readonly isUrgent?: boolean } = {}): boolean {
    if (options.isUrgent !== true && this.findReasonToWait(workload) !== undefined) {
      return false;
    }
    if (KINDS[workload.kind].rollsOut) {
      this.#trials.begin(key, workload, this.reserve(key, workload, options));
    }
    return true;
  }

  /**
   * Takes a permit whether one is free or not; an urgent one, which did not wait for that, counts for its own namespace
   * only. Returns the time at which it is taken.
   */
  reserve(key: string, workload: Workload, options: { readonly isUrgent?: boolean } = {}): number {
    const atMs = this.#options.nowMs();
    const { namespace, rollout } = workload;
    const untilMs = atMs + this.#options.limits().timeoutMs;
    const own = { atMs, generation: rollout.generation + 1, before: this.#permits.find(key) };
    this.#permits.take(key, { namespace, untilMs, own, isOutOfTurn: options.isUrgent === true });
    this.#active.note(namespace);
    this.#waiting.delete(key);
    if (options.isUrgent === true) {
      // It may have had a place, or been called to one, that it does not take now.
      this.#wakeWaiting();
    }
    return atMs;
  }

  /** Gives a permit back, because the swap was not made. */
  release(key: string): void {
    const own = this.#permits.find(key)?.own;
    this.#permits.delete(key);
    if (own?.before) {
      this.#permits.take(key, own.before);
    }
    this.#trials.revoke(key, own?.atMs);
    this.#wakeWaiting();
  }

  /** This process has swapped a workload to these images. */
  noteSwapped(key: string, images: readonly string[]): void {
    this.#ownSwaps.note(key, images);
  }

  /**
   * These images had to be taken out again, which is a failure if this process has written them. The trial goes on until
   * the workload has recovered.
   */
  noteFailure(key: string, images: readonly string[]): void {
    if (this.#ownSwaps.takeBack(key, images)) {
      this.#stops.noteFailure(key);
    }
  }

  /** The settings were edited: whatever made swaps fail may be fixed. */
  forgiveFailures(): void {
    this.#stops.reset();
    this.#wakeWaiting();
  }

  /** Whether no namespace is swapped in, and how many are stopped each for itself. */
  readStops(): { readonly isStopped: boolean; readonly stoppedNamespaces: number } {
    return {
      isStopped: this.#stops.findEndMs() !== undefined,
      stoppedNamespaces: this.#stops.listNamespaces().size,
    };
  }

  /** Asks to be called when it is the workload's turn. Only a swap waits for more than a permit. */
  waitForPermit(workload: Workload, purpose: WaiterFacts['purpose']): void {
    const key = formatWorkloadKey(workload);
    // It was called in vain: others were faster, or its swap came to nothing.
    this.#permits.uncall(key);
    this.#waiting.add({ key, purpose, namespace: workload.namespace, risk: findRisk(workload) });
    // A place may have become free because its time is over, which nobody is told of.
    this.#wakeWaiting();
  }

  /** Takes back that it waits, or that it was called: it is not to be swapped for a reason of its own. */
  withdraw(workload: WorkloadName): void {
    const key = formatWorkloadKey(workload);
    this.#waiting.delete(key);
    if (this.#permits.isCalled(key)) {
      this.#permits.uncall(key);
      this.#wakeWaiting();
    }
  }

  countRolling(): number {
    return this.#permits.countRolling();
  }

  /** Returns whether the namespace is proven only by this. */
  #observeProof(key: string, workload: Workload): boolean {
    const isTrial = this.#trials.has(key);
    const runsCopy =
      !isTrial && runsTemplate(workload) && workload.slots.some(({ image }) => this.#options.isCopy(image));
    return this.#proven.observe(key, workload.namespace, runsCopy);
  }

  #observePermit(key: string, workload: Workload, record: SwapRecord): void {
    const known = this.#permits.find(key);
    if (known?.own) {
      this.#observeOwn(key, workload, { record, own: known.own });
      return;
    }
    this.#permits.delete(key);
    const nowMs = this.#options.nowMs();
    const outcome = findSwapOutcome(workload, record);
    if (record.swappedAtMs <= (this.#leadingSinceMs ?? nowMs) + SKEW_MS) {
      const mayRoll = known !== undefined || mayBelieve(this.#leadingSinceMs, nowMs);
      this.#noteOutcome(key, workload, { outcome, atMs: Math.min(record.swappedAtMs, nowMs), mayRoll });
    } else if (this.#trials.has(key)) {
      // Of a swap of this process that has taken longer than its permit was kept.
      this.#trials.observe(key, workload, { outcome, atMs: nowMs });
    }
  }

  #noteOutcome(key: string, workload: Workload, { outcome, atMs, mayRoll }: ToldOutcome): void {
    const { namespace, kind } = workload;
    const nowMs = this.#options.nowMs();
    const untilMs = atMs + this.#options.limits().timeoutMs;
    if (mayRoll && outcome === 'rolling out' && untilMs > nowMs && KINDS[kind].rollsOut) {
      this.#permits.take(key, { namespace, untilMs });
    }
    this.#trials.observe(key, workload, { outcome, atMs });
  }

  /** Until it is rolled out: its record may be gone by then, as after a swap that was undone. */
  #observeOwn(
    key: string,
    workload: Workload,
    { record, own }: { readonly record: SwapRecord; readonly own: OwnPatch },
  ): void {
    if (!hasRolledOut(workload, own)) {
      return;
    }
    this.#permits.delete(key);
    this.#trials.observe(key, workload, { outcome: findSwapOutcome(workload, record), atMs: own.atMs });
  }

  /** Whether another workload of a namespace rolls out because of us, or has not been seen to run its copies yet. */
  #isRolling(namespace: string, exceptKey?: string): boolean {
    return (
      this.#permits.isRolling(namespace, exceptKey) ||
      this.#trials.isAny(namespace, this.#options.nowMs(), exceptKey)
    );
  }

  /** Places that this workload may have. One that has a permit, or was called, need not wait for itself. */
  #countFreeFor(workload: WorkloadName): number {
    const places = this.#countPlaces(this.#createMaySwap(), formatWorkloadKey(workload));
    return createRoom(places, this.#options.limits().maxRollouts)(workload.namespace);
  }

  #countPlaces(maySwap: (namespace: string) => boolean, exceptKey?: string): Places {
    const { held, shared } = this.#permits.countPlaces(exceptKey);
    const waiting = [...this.#waiting.list()]
      .filter(([namespace, { restores }]) => restores > 0 || maySwap(namespace))
      .map(([namespace]) => namespace);
    return { held, shared, active: new Set([...held.keys(), ...this.#active.list(), ...waiting]) };
  }

  /** Whether a swap may begin in a namespace, once a place is free. */
  #createMaySwap(): (namespace: string) => boolean {
    const isStopped = this.#stops.findEndMs() !== undefined;
    const stopped = this.#stops.listNamespaces();
    const isTried = (namespace: string): boolean =>
      this.#isRolling(namespace) || this.#permits.isAnyCalled(namespace);
    return (namespace) =>
      !isStopped && !stopped.has(namespace) && (this.#proven.has(namespace) || !isTried(namespace));
  }

  #wakeWaiting(): void {
    if (this.#waiting.size === 0) {
      return;
    }
    const maySwap = this.#createMaySwap();
    const next = chooseNext(this.#waiting.list(), {
      places: this.#countPlaces(maySwap),
      maxRollouts: this.#options.limits().maxRollouts,
      maySwap,
      isProven: (namespace) => this.#proven.has(namespace),
    });
    for (const { key, namespace } of next) {
      this.#waiting.delete(key);
      this.#permits.call(key, namespace);
      this.#options.onFree(key);
    }
  }
}
