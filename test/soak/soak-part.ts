import type { Processes } from '../support/processes.ts';
import type { Tools } from '../tools/build.ts';

interface SoakOptions {
  readonly tools: Tools;
  readonly processes: Processes;
  readonly random: () => number;
  /** What `random` was made of. */
  readonly seed: number;
  /** What happens, by name; all, when there is nothing in it. */
  readonly acts: readonly string[];
  /** When the last thing may begin to go wrong, by `performance.now()`. */
  readonly endsAtMs: number;
  say(text: string): void;
}

/** Returns a sentence for everything that was not survived. */
export type SoakPart = (options: SoakOptions) => Promise<readonly string[]>;
