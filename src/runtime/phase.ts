/**
 * What this process is about:
 * - `starting`: settings or workloads are not known yet, whoever has the Lease;
 * - `standby`: all is known, and another replica has the Lease;
 * - `leading`: it works;
 * - `draining`: it is being stopped.
 */
export type Phase = 'starting' | 'standby' | 'leading' | 'draining';

export interface PhaseFacts {
  /** The settings, and all workloads: before that, the rollouts in flight cannot be counted. */
  readonly isAllKnown: boolean;
  readonly hasLease: boolean;
}

function planUntilWork({ isAllKnown, hasLease }: PhaseFacts): Phase {
  if (!isAllKnown) {
    return 'starting';
  }
  return hasLease ? 'leading' : 'standby';
}

const NEXT: Readonly<Record<Phase, (facts: PhaseFacts) => Phase>> = {
  starting: planUntilWork,
  standby: planUntilWork,
  // A kind that begins to be watched does not interrupt the work, and whoever loses the Lease is stopped.
  leading: () => 'leading',
  draining: () => 'draining',
};

/** The phase that follows from how things are now. */
export function planPhase(before: Phase, facts: PhaseFacts): Phase {
  return NEXT[before](facts);
}

/** The phase of this process. It changes when it is told to look, and at no other time. */
export class CurrentPhase {
  readonly #readFacts: () => PhaseFacts;
  #phase: Phase = 'starting';

  constructor(readFacts: () => PhaseFacts) {
    this.#readFacts = readFacts;
  }

  get current(): Phase {
    return this.#phase;
  }

  /** To be called when a fact may have changed. Returns the phase that begins, if one does. */
  advance(): Phase | undefined {
    const before = this.#phase;
    this.#phase = planPhase(before, this.#readFacts());
    return this.#phase === before ? undefined : this.#phase;
  }

  /** The process is being stopped. Returns the phase that ends. */
  drain(): Phase {
    const before = this.#phase;
    this.#phase = 'draining';
    return before;
  }
}
