import { setTimeout as sleep } from 'node:timers/promises';

import type { RunningProgram } from '../processes.ts';

/** A program that is started again whenever it ends, as the kubelet does with a container. */
export interface KeptProgram {
  readonly restarts: number;
  stop(): Promise<void>;
}

/** A kubelet waits longer each time; here a loop of restarts is to be seen. */
const RESTART_MS = 500;

class Keeper implements KeptProgram {
  restarts = 0;
  readonly #program: RunningProgram;
  readonly #keeping: Promise<void>;
  #isStopped = false;

  constructor(program: RunningProgram) {
    this.#program = program;
    this.#keeping = this.#keep();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#program.stop();
    await this.#keeping;
  }

  async #keep(): Promise<void> {
    for (await this.#program.ended; !this.#isStopped; await this.#program.ended) {
      this.restarts += 1;
      await sleep(RESTART_MS);
      await this.#program.start();
    }
  }
}

export function keepRunning(program: RunningProgram): KeptProgram {
  return new Keeper(program);
}
