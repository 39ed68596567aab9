import { KINDS } from '../../workloads/kinds.ts';
import { isRolledOut } from '../../workloads/rollout.ts';
import type { Workload } from '../../workloads/workload.ts';
import { ByNamespace } from './by-namespace.ts';
import type { SwapOutcome } from './swap-outcome.ts';

/** A swap that has not ended by then says nothing about its namespace any more: others get their turn. */
const LONGEST_MS = 24 * 3_600_000;

interface Trial {
  readonly namespace: string;
  /** When it was swapped. */
  readonly atMs: number;
  /** Of this process, which will see its pods; of an earlier one, that it is rolled out has to do. */
  readonly isOwn: boolean;
  /** Of the swap before it, which counts again if this one is not made. */
  readonly before?: Trial | undefined;
}

/**
 * Swaps of which nobody has seen yet that their pods run the copies, or have recovered. Where no workload is known to run
 * from the backup, one of them tries it for its namespace, however long that takes.
 */
export class SwapTrials {
  readonly #trials = new ByNamespace<Trial>();

  /** A swap is about to be made. Where pods are replaced on deletion only, none will show anything soon. */
  begin(key: string, { namespace, rollout }: Workload, atMs: number): void {
    if (!rollout.onDelete) {
      const before = this.#trials.get(key);
      // One step back is enough: at most one swap of a workload is about to be made.
      this.#trials.set(key, {
        namespace,
        atMs,
        isOwn: true,
        before: before && { ...before, before: undefined },
      });
    }
  }

  /** The swap of that time is not made after all: what was before counts again. */
  revoke(key: string, atMs: number | undefined): void {
    const trial = this.#trials.get(key);
    if (trial?.atMs !== atMs) {
      return;
    }
    this.#trials.delete(key);
    if (trial?.before) {
      this.#trials.set(key, trial.before);
    }
  }

  /** Returns the trial that has ended; undefined when there was none. */
  end(key: string): Pick<Trial, 'atMs' | 'isOwn'> | undefined {
    const trial = this.#trials.get(key);
    this.#trials.delete(key);
    return trial;
  }

  has(key: string): boolean {
    return this.#trials.has(key);
  }

  /** True for a swap of this process: only its pods say that it has succeeded. */
  isOwn(key: string): boolean {
    return this.#trials.get(key)?.isOwn === true;
  }

  /** What the workload shows. A swap that was undone is over once the workload has recovered. */
  observe(
    key: string,
    workload: Workload,
    { outcome, atMs }: { readonly outcome: SwapOutcome | undefined; readonly atMs: number },
  ): void {
    const { namespace, kind, rollout } = workload;
    const isRolling = outcome === 'rolling out' || (outcome === 'undone' && !isRolledOut(workload));
    if (isRolling && KINDS[kind].rollsOut && !rollout.onDelete) {
      this.#trials.set(key, this.#trials.get(key) ?? { namespace, atMs, isOwn: false });
    } else if (outcome !== 'succeeded' || !this.isOwn(key)) {
      this.#trials.delete(key);
    }
  }

  /** Whether there is one in a namespace, apart from that of a key. */
  isAny(namespace: string, nowMs: number, exceptKey?: string): boolean {
    for (const [key, { atMs }] of this.#trials.of(namespace)) {
      if (key !== exceptKey && nowMs - atMs < LONGEST_MS) {
        return true;
      }
    }
    return false;
  }
}
