/** How long a place is kept for a workload that was told that it is its turn: a pass takes a second. */
const CALL_MS = 30_000;

/** A workload that rolls out because of us. */
export interface Permit {
  readonly namespace: string;
  /** When it is given up, whatever the rollout does. */
  readonly untilMs: number;
  /** Undefined for one that only the record of the workload tells of. */
  readonly own?: OwnPatch;
}

/** A patch of this process: when it was made, and the generation it leads to. */
export interface OwnPatch {
  readonly generation: number;
  readonly atMs: number;
  /** The permit it had already, for a rollout that is not over. */
  readonly before: Permit | undefined;
}

interface Call {
  readonly namespace: string;
  readonly untilMs: number;
}

/** Who has a permit, and who was called to take one: until then its place is taken. By workload key. */
export class Permits {
  readonly #nowMs: () => number;
  readonly #permits = new Map<string, Permit>();
  readonly #calls = new Map<string, Call>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  has(key: string): boolean {
    return this.#permits.has(key);
  }

  find(key: string): Permit | undefined {
    return this.#permits.get(key);
  }

  take(key: string, permit: Permit): void {
    this.#calls.delete(key);
    this.#permits.set(key, permit);
  }

  delete(key: string): void {
    this.#permits.delete(key);
  }

  call(key: string, namespace: string): void {
    this.#calls.set(key, { namespace, untilMs: this.#nowMs() + CALL_MS });
  }

  /** It does not come to take its permit. */
  uncall(key: string): void {
    this.#calls.delete(key);
  }

  isCalled(key: string): boolean {
    return this.#calls.has(key);
  }

  countRolling(): number {
    this.#dropExpired();
    return this.#permits.size;
  }

  listNamespaces(exceptKey?: string): readonly string[] {
    return [...this.#permits].filter(([key]) => key !== exceptKey).map(([, { namespace }]) => namespace);
  }

  /** Places of each namespace, taken or kept. */
  countByNamespace(exceptKey?: string): ReadonlyMap<string, number> {
    this.#dropExpired();
    const counts = new Map<string, number>();
    for (const [key, { namespace }] of [...this.#permits, ...this.#calls]) {
      if (key !== exceptKey) {
        counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
      }
    }
    return counts;
  }

  /**
   * Permits that only records tell of, by namespace. Whoever may write annotations can forge them for as long as a rollout
   * of the leader before could still go on.
   */
  countTold(exceptKey?: string): ReadonlyMap<string, number> {
    const told = [...this.#permits].filter(([key, { own }]) => key !== exceptKey && !own);
    const groups = Map.groupBy(told, ([, { namespace }]) => namespace);
    return new Map([...groups].map(([namespace, { length }]) => [namespace, length]));
  }

  #dropExpired(): void {
    const nowMs = this.#nowMs();
    for (const kept of [this.#permits, this.#calls]) {
      for (const [key, { untilMs }] of kept) {
        if (untilMs <= nowMs) {
          kept.delete(key);
        }
      }
    }
  }
}
