import { KINDS, formatWorkloadKey } from '../../workloads/kinds.ts';
import { hasRecord } from '../../workloads/record.ts';
import { isRolledOut, lacksPods } from '../../workloads/rollout.ts';
import type { Workload } from '../../workloads/workload.ts';
import { NOTHING_TOLD, type WorkloadMemory } from './workload-memory.ts';

/** Whether a workload that rolls out, or did until now, has changed, and its generation has not. */
function isRolloutNews(before: WorkloadMemory['lastSeen'], now: WorkloadMemory['lastSeen']): boolean {
  return (
    before?.generation === now?.generation &&
    before?.resourceVersion !== now?.resourceVersion &&
    (before?.isRollingOut === true || now?.isRollingOut === true)
  );
}

/**
 * The memories of all workloads: each is born when its workload is first seen, and dropped with it. A pass that is still at
 * work on a workload that has ended keeps writing to a memory that nobody reads any more.
 */
export class WorkloadMemories {
  readonly #nowMs: () => number;
  readonly #byKey = new Map<string, WorkloadMemory>();
  #recorded = 0;
  #leftAlone = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Of how many workloads something of ours has not been taken back yet. */
  get recorded(): number {
    return this.#recorded;
  }

  /** Of how many of these it cannot be taken back, because they are too large to be known. */
  get leftAlone(): number {
    return this.#leftAlone;
  }

  of(workload: Workload): WorkloadMemory {
    const key = formatWorkloadKey(workload);
    const known = this.#byKey.get(key);
    if (known?.uid === workload.uid) {
      return known;
    }
    this.#drop(key);
    const memory: WorkloadMemory = {
      uid: workload.uid,
      isRecorded: false,
      isLeftAlone: false,
      rolloutSightings: 0,
      notedSightings: 0,
      toldNotes: NOTHING_TOLD,
    };
    this.#byKey.set(key, memory);
    return memory;
  }

  /** Whether the pods of a workload have to be listed now, whatever is watched. */
  arePodsListed(key: string): boolean {
    return this.#nowMs() < (this.#byKey.get(key)?.listPodsUntilMs ?? 0);
  }

  /**
   * Called for every change of a workload, and of what it depends on; `workload` is undefined once it is gone. Returns whether a
   * rollout has gone on, or has ended, and the workload is of the same generation still: its annotations may be others.
   */
  observe(key: string, workload: Workload | undefined): boolean {
    if (!workload) {
      this.#drop(key);
      return false;
    }
    const memory = this.of(workload);
    const before = memory.lastSeen;
    const isRollingOut = KINDS[workload.kind].rollsOut && !isRolledOut(workload);
    const { resourceVersion, rollout } = workload;
    memory.lastSeen = { generation: rollout.generation, resourceVersion, isRollingOut };
    memory.rolloutSightings += Number(isRollingOut);
    memory.missingSinceMs = lacksPods(workload) ? (memory.missingSinceMs ?? this.#nowMs()) : undefined;
    // What is being deleted needs no restore.
    const isStaying = !workload.rollout.terminating;
    const isLeftAlone = isStaying && workload.mayRunCopies === true;
    const isRecorded = isLeftAlone || (isStaying && hasRecord(workload.annotations));
    this.#count(memory, { isRecorded, isLeftAlone });
    return isRolloutNews(before, memory.lastSeen);
  }

  /** Drops the workloads that are not among these, as after a change of what is in scope. Returns their keys. */
  keepOnly(workloads: readonly Workload[]): readonly string[] {
    const kept = new Set(workloads.map(formatWorkloadKey));
    const dropped = [...this.#byKey.keys()].filter((key) => !kept.has(key));
    for (const key of dropped) {
      this.#drop(key);
    }
    return dropped;
  }

  /** The settings were edited: another prefix may be allowed. */
  forgetDenials(): void {
    for (const memory of this.#byKey.values()) {
      memory.denial = undefined;
    }
  }

  #count(memory: WorkloadMemory, now: Pick<WorkloadMemory, 'isRecorded' | 'isLeftAlone'>): void {
    this.#recorded += Number(now.isRecorded) - Number(memory.isRecorded);
    this.#leftAlone += Number(now.isLeftAlone) - Number(memory.isLeftAlone);
    Object.assign(memory, now);
  }

  #drop(key: string): void {
    const memory = this.#byKey.get(key);
    if (memory) {
      this.#count(memory, { isRecorded: false, isLeftAlone: false });
      this.#byKey.delete(key);
    }
  }
}
