import { isRolledOut } from '../../workloads/rollout.ts';
import type { Workload } from '../../workloads/workload.ts';
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

interface Place {
  readonly namespace: string;
  readonly isShared: boolean;
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

  /** Namespaces of those that were called and have not come yet. */
  listCalled(): readonly string[] {
    this.#dropExpired();
    return [...this.#calls.values()].map(({ namespace }) => namespace);
  }

  countRolling(): number {
    this.#dropExpired();
    return this.#permits.size;
  }

  listNamespaces(exceptKey?: string): readonly string[] {
    return [...this.#permits].filter(([key]) => key !== exceptKey).map(([, { namespace }]) => namespace);
  }

  /** Of each namespace, taken or kept. */
  countPlaces(exceptKey?: string): Pick<Places, 'held' | 'shared'> {
    this.#dropExpired();
    const [held, shared] = [new Map<string, number>(), new Map<string, number>()];
    for (const [key, { namespace, isShared }] of this.#list()) {
      if (key !== exceptKey) {
        held.set(namespace, (held.get(namespace) ?? 0) + 1);
        shared.set(namespace, (shared.get(namespace) ?? 0) + Number(isShared));
      }
    }
    return { held, shared };
  }

  #list(): readonly (readonly [string, Place])[] {
    const permits = [...this.#permits].map(([key, { namespace, isOutOfTurn }]): [string, Place] => [
      key,
      { namespace, isShared: isOutOfTurn !== true },
    ]);
    const calls = [...this.#calls].map(([key, { namespace }]): [string, Place] => [
      key,
      { namespace, isShared: true },
    ]);
    return [...permits, ...calls];
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
