import { isRolledOut } from '../../workloads/rollout.ts';
import type { Workload } from '../../workloads/workload.ts';
import { ByNamespace } from './by-namespace.ts';
import type { Places } from './room.ts';

/** How long a place is kept for a workload that was told that it is its turn: a pass takes a second. */
const CALL_MS = 30_000;

/** A workload that rolls out because of us. */
export interface Permit {
  readonly namespace: string;
  /** When it is given up, whatever the rollout does. */
  readonly untilMs: number;
  /** Taken without waiting: it takes no place of another namespace. */
  readonly isOutOfTurn?: boolean;
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

/** True once the rollout that a patch has started is over. */
export function hasRolledOut(workload: Workload, { generation }: OwnPatch): boolean {
  return workload.rollout.generation >= generation && isRolledOut(workload);
}

interface Call {
  readonly namespace: string;
  readonly untilMs: number;
}

/** Who has a permit, and who was called to take one: until then its place is taken. By workload key. */
export class Permits {
  readonly #nowMs: () => number;
  readonly #permits = new ByNamespace<Permit>();
  readonly #calls = new ByNamespace<Call>();
  /** Those of the permits that were taken out of turn. */
  readonly #outOfTurn = new ByNamespace<Permit>();
  /** Nothing expires before. */
  #nextEndMs = Infinity;

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
    this.delete(key);
    this.#calls.delete(key);
    this.#permits.set(key, permit);
    if (permit.isOutOfTurn === true) {
      this.#outOfTurn.set(key, permit);
    }
    this.#nextEndMs = Math.min(this.#nextEndMs, permit.untilMs);
  }

  delete(key: string): void {
    this.#permits.delete(key);
    this.#outOfTurn.delete(key);
  }

  call(key: string, namespace: string): void {
    const untilMs = this.#nowMs() + CALL_MS;
    this.#calls.set(key, { namespace, untilMs });
    this.#nextEndMs = Math.min(this.#nextEndMs, untilMs);
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

  /** Whether a workload of the namespace rolls out, apart from that one. */
  isRolling(namespace: string, exceptKey?: string): boolean {
    this.#dropExpired();
    return this.#permits.countOthers(namespace, exceptKey) > 0;
  }

  /** Whether one was called and has not come yet. */
  isAnyCalled(namespace: string): boolean {
    this.#dropExpired();
    return this.#calls.of(namespace).size > 0;
  }

  /** Of each namespace, taken or kept. */
  countPlaces(exceptKey?: string): Pick<Places, 'held' | 'shared'> {
    this.#dropExpired();
    const [held, shared] = [new Map<string, number>(), new Map<string, number>()];
    for (const namespace of new Set([...this.#permits.namespaces(), ...this.#calls.namespaces()])) {
      const count =
        this.#permits.countOthers(namespace, exceptKey) + this.#calls.countOthers(namespace, exceptKey);
      if (count > 0) {
        held.set(namespace, count);
        shared.set(namespace, count - this.#outOfTurn.countOthers(namespace, exceptKey));
      }
    }
    return { held, shared };
  }

  #dropExpired(): void {
    const nowMs = this.#nowMs();
    if (nowMs < this.#nextEndMs) {
      return;
    }
    this.#nextEndMs = Infinity;
    for (const kept of [this.#permits, this.#outOfTurn, this.#calls]) {
      for (const [key, { untilMs }] of kept.entries()) {
        if (untilMs <= nowMs) {
          kept.delete(key);
        } else {
          this.#nextEndMs = Math.min(this.#nextEndMs, untilMs);
        }
      }
    }
  }
}
