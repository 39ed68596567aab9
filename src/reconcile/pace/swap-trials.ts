/** A swap that has not ended by then says nothing about its namespace any more: others get their turn. */
const LONGEST_MS = 24 * 3_600_000;

interface Trial {
  readonly namespace: string;
  /** When it was swapped. */
  readonly atMs: number;
  /** Of this process, which will see its pods; of an earlier one, that it is rolled out has to do. */
  readonly isOwn: boolean;
}

/**
 * Swaps of which nobody has seen yet that their pods run the copies. Where no workload is known to run from the backup,
 * one of them tries it for its namespace, however long that takes.
 */
export class SwapTrials {
  readonly #trials = new Map<string, Trial>();

  begin(key: string, trial: Trial): void {
    this.#trials.set(key, trial);
  }

  /** Returns the trial that has ended, if there was one. */
  end(key: string): Trial | undefined {
    const trial = this.#trials.get(key);
    this.#trials.delete(key);
    return trial;
  }

  find(key: string): Trial | undefined {
    return this.#trials.get(key);
  }

  listNamespaces(nowMs: number, exceptKey?: string): ReadonlySet<string> {
    const others = [...this.#trials].filter(
      ([key, { atMs }]) => key !== exceptKey && nowMs - atMs < LONGEST_MS,
    );
    return new Set(others.map(([, { namespace }]) => namespace));
  }
}
