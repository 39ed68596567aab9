import { KINDS, type WorkloadName, formatWorkloadKey } from '../../workloads/kinds.ts';
import { type SwapRecord, parseRecord } from '../../workloads/record.ts';
import { isRolledOut, runsTemplate } from '../../workloads/rollout.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { RolloutWait } from '../decide/rollout-wait.ts';
import { type Waiter, chooseNext, findRolloutWait, findRisk } from './turns.ts';
import { ProvenNamespaces } from './proven-namespaces.ts';
import { SwapBreaker } from './swap-breaker.ts';
import { type SwapOutcome, findSwapOutcome } from './swap-outcome.ts';
import { SwapTrials } from './swap-trials.ts';

/** How far the clocks of two controllers may be apart. */
const SKEW_MS = 60_000;

export interface RolloutBudgetOptions {
  readonly limits: () => { readonly maxRollouts: number; readonly timeoutMs: number };
  /** Whether an image lies in the backup of today. */
  readonly isCopy: (image: string) => boolean;
  readonly nowMs: () => number;
  /** Called with the key of a workload that waited for a permit and may try again. */
  readonly onFree: (workloadKey: string) => void;
  /** Called when too many swaps in a row have failed, with the time at which swapping goes on by itself. */
  readonly onStopped: (untilMs: number) => void;
}

/** A workload that rolls out because of us. */
interface Permit {
  readonly namespace: string;
  /** When it is given up, whatever the rollout does. */
  readonly untilMs: number;
  readonly own?: OwnPatch;
}

/** A patch of this process: when it was made, and the generation it leads to. */
interface OwnPatch {
  readonly generation: number;
  readonly atMs: number;
  /** The permit it had already, for a rollout that is not over. */
  readonly before: Permit | undefined;
}

/** True once the rollout that a patch has started is over. */
function hasRolledOut(workload: Workload, generation: number): boolean {
  return workload.rollout.generation >= generation && isRolledOut(workload);
}

/**
 * Which workload may be swapped when. Derived from what the cluster shows (a swap and its undoing are recorded on the
 * workload), so that a restart or a new leader counts the same. Annotations are anybody's, though: once this process
 * leads, it is the only one that swaps, and a record that is newer than that and not its own is forged; a
 * restore leaves no record, so its permit is held in memory.
 */
export class RolloutBudget {
  readonly #options: RolloutBudgetOptions;
  readonly #permits = new Map<string, Permit>();
  readonly #waiting = new Map<string, Waiter>();
  readonly #proven = new ProvenNamespaces();
  readonly #breaker = new SwapBreaker();
  readonly #trials = new SwapTrials();
  #leadingSinceMs: number | undefined;
  #isStopReported = false;

  constructor(options: RolloutBudgetOptions) {
    this.#options = options;
  }

  /** From now on only this process swaps. */
  start(): void {
    this.#leadingSinceMs = this.#options.nowMs();
    this.#reportStop();
  }

  /** Called for every change of a workload; `workload` is undefined once it is deleted. */
  observe(key: string, workload: Workload | undefined): void {
    if (!workload) {
      this.#permits.delete(key);
      this.#waiting.delete(key);
      this.#proven.forget(key);
      this.#breaker.forget(key);
      this.#trials.end(key);
      this.#wakeWaiting();
      return;
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
    const swappedAtMs = this.#trials.end(key);
    if (swappedAtMs !== undefined) {
      this.#breaker.noteSuccess(swappedAtMs);
      this.#observeProof(key, workload);
      this.#wakeWaiting();
    }
  }

  /** Whether one more workload may roll out because of us. */
  isFree(): boolean {
    return this.#countFree() > 0;
  }

  /** Undefined: it is this workload's turn, which always is that of one that does not roll out. */
  findReasonToWait(workload: WorkloadName): RolloutWait | undefined {
    const { kind, namespace } = workload;
    const isStopped = this.findStopEndMs() !== undefined;
    if (!KINDS[kind].rollsOut) {
      return isStopped ? 'swapping stopped' : undefined;
    }
    const key = formatWorkloadKey(workload);
    // A workload that rolls out because of us, and was changed by others meanwhile, need not wait for itself.
    const ownPermits = Number(this.#permits.has(key));
    return findRolloutWait({
      isStopped,
      freePermits: this.#countFree() + ownPermits,
      isNamespaceProven: this.#proven.has(namespace),
      isNamespaceRolling: this.#listRolling(key).has(namespace),
    });
  }

  /** Takes a permit for the swap that is about to be made; false when it is not the workload's turn. */
  tryReserve(key: string, workload: Workload, options: { readonly isUrgent?: boolean } = {}): boolean {
    if (options.isUrgent !== true && this.findReasonToWait(workload) !== undefined) {
      return false;
    }
    if (KINDS[workload.kind].rollsOut) {
      this.#trials.begin(key, workload, this.reserve(key, workload));
    }
    return true;
  }

  /** Takes a permit whether one is free or not. Returns the time at which it is taken. */
  reserve(key: string, workload: Workload): number {
    const atMs = this.#options.nowMs();
    const { namespace, rollout } = workload;
    const untilMs = atMs + this.#options.limits().timeoutMs;
    const own = { atMs, generation: rollout.generation + 1, before: this.#permits.get(key) };
    this.#permits.set(key, { namespace, untilMs, own });
    this.#waiting.delete(key);
    return atMs;
  }

  /** Gives a permit back, because the swap was not made. */
  release(key: string): void {
    const own = this.#permits.get(key)?.own;
    this.#permits.delete(key);
    if (own?.before) {
      this.#permits.set(key, own.before);
    }
    this.#trials.revoke(key, own?.atMs);
    this.#wakeWaiting();
  }

  /** A swap of this process had to be undone. Its trial goes on until the workload has recovered. */
  noteFailure(key: string): void {
    const nowMs = this.#options.nowMs();
    this.#breaker.noteFailure(key, nowMs, nowMs);
    this.#reportStop();
  }

  /** The settings were edited: whatever made swaps fail may be fixed. */
  forgiveFailures(): void {
    this.#breaker.reset(this.#options.nowMs());
    this.#reportStop();
    this.#wakeWaiting();
  }

  /** When swapping goes on by itself; undefined when it is not stopped. */
  findStopEndMs(): number | undefined {
    return this.#breaker.findStopEndMs(this.#options.nowMs());
  }

  /** Asks to be called when it is the workload's turn. Only a swap waits for more than a permit. */
  waitForPermit(workload: Workload, purpose: Waiter['purpose']): void {
    const key = formatWorkloadKey(workload);
    this.#waiting.set(key, { key, purpose, namespace: workload.namespace, risk: findRisk(workload) });
  }

  countRolling(): number {
    this.#dropExpired();
    return this.#permits.size;
  }

  /** Returns whether the namespace is proven only by this. */
  #observeProof(key: string, workload: Workload): boolean {
    const isTrial = this.#trials.has(key);
    const runsCopy =
      !isTrial && runsTemplate(workload) && workload.slots.some(({ image }) => this.#options.isCopy(image));
    return this.#proven.observe(key, workload.namespace, runsCopy);
  }

  #observePermit(key: string, workload: Workload, record: SwapRecord): void {
    const own = this.#permits.get(key)?.own;
    if (own) {
      this.#observeOwn(key, workload, { record, own });
      return;
    }
    this.#permits.delete(key);
    const nowMs = this.#options.nowMs();
    const outcome = findSwapOutcome(workload, record);
    if (record.swappedAtMs <= (this.#leadingSinceMs ?? nowMs) + SKEW_MS) {
      this.#noteOutcome(key, workload, { outcome, atMs: Math.min(record.swappedAtMs, nowMs) });
    } else if (this.#trials.has(key)) {
      // Of a swap of this process that has taken longer than its permit was kept.
      this.#trials.observe(key, workload, { outcome, atMs: nowMs });
    }
  }

  #noteOutcome(
    key: string,
    workload: Workload,
    { outcome, atMs }: { readonly outcome: SwapOutcome | undefined; readonly atMs: number },
  ): void {
    const { namespace, kind } = workload;
    const nowMs = this.#options.nowMs();
    const untilMs = atMs + this.#options.limits().timeoutMs;
    if (outcome === 'rolling out' && untilMs > nowMs && KINDS[kind].rollsOut) {
      this.#permits.set(key, { namespace, untilMs });
    }
    this.#trials.observe(key, workload, { outcome, atMs });
    if (outcome === 'succeeded' && !this.#trials.isOwn(key)) {
      this.#breaker.noteSuccess(atMs);
    }
    if (outcome === 'undone') {
      this.#breaker.noteFailure(key, atMs, nowMs);
      this.#reportStop();
    }
  }

  /** Until it is rolled out: its record may be gone by then, as after a swap that was undone. */
  #observeOwn(
    key: string,
    workload: Workload,
    { record, own }: { readonly record: SwapRecord; readonly own: OwnPatch },
  ): void {
    if (!hasRolledOut(workload, own.generation)) {
      return;
    }
    this.#permits.delete(key);
    this.#trials.observe(key, workload, { outcome: findSwapOutcome(workload, record), atMs: own.atMs });
  }

  /** Once for every stop, and only by the process that leads. */
  #reportStop(): void {
    const untilMs = this.findStopEndMs();
    if (untilMs !== undefined && !this.#isStopReported && this.#leadingSinceMs !== undefined) {
      this.#options.onStopped(untilMs);
    }
    this.#isStopReported = untilMs !== undefined && this.#leadingSinceMs !== undefined;
  }

  /** Namespaces in which another workload rolls out because of us, or has not been seen to run its copies yet. */
  #listRolling(ownKey?: string): ReadonlySet<string> {
    const others = [...this.#permits].filter(([key]) => key !== ownKey).map(([, { namespace }]) => namespace);
    return new Set([...others, ...this.#trials.listNamespaces(this.#options.nowMs(), ownKey)]);
  }

  #countFree(): number {
    return this.#options.limits().maxRollouts - this.countRolling();
  }

  #dropExpired(): void {
    const nowMs = this.#options.nowMs();
    for (const [key, { untilMs }] of this.#permits) {
      if (untilMs <= nowMs) {
        this.#permits.delete(key);
      }
    }
  }

  #wakeWaiting(): void {
    const free = this.#waiting.size === 0 ? 0 : this.#countFree();
    if (free <= 0) {
      return;
    }
    const isStopped = this.findStopEndMs() !== undefined;
    const rolling = this.#listRolling();
    const isProven = (namespace: string): boolean => this.#proven.has(namespace);
    const mayStart = [...this.#waiting.values()].filter(
      ({ namespace, purpose }) =>
        purpose === 'restore' || (!isStopped && (isProven(namespace) || !rolling.has(namespace))),
    );
    for (const { key } of chooseNext(mayStart, { free, isProven })) {
      this.#waiting.delete(key);
      this.#options.onFree(key);
    }
  }
}
