import { formatWorkloadKey } from '../../workloads/kinds.ts';
import { slotKey } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';

/** A try costs two dry runs and changes nothing, and policies change. */
const HOLD_MS = 3_600_000;

interface Denial {
  readonly wanted: string;
  readonly untilMs: number;
}

/** Images, and what users say by annotations of ours. */
function describeWanted({ slots, annotations }: Workload): string {
  return JSON.stringify([slots.map((slot) => [slotKey(slot), slot.image]), annotations]);
}

/**
 * Workloads whose swap the API server refused, and until when they are left alone as they are. In memory: a patch
 * that is refused writes nothing down and changes nothing, so that after a restart one more try costs one request.
 */
export class Denials {
  readonly #denials = new Map<string, Denial>();

  /** Returns until when the workload is left alone. */
  note(workload: Workload, nowMs: number): number {
    const untilMs = nowMs + HOLD_MS;
    this.#denials.set(formatWorkloadKey(workload), { wanted: describeWanted(workload), untilMs });
    return untilMs;
  }

  /** Undefined when the workload may be tried, or was changed by its user. */
  findEndMs(workload: Workload, nowMs: number): number | undefined {
    const denial = this.#denials.get(formatWorkloadKey(workload));
    const isHeld = denial && denial.untilMs > nowMs && denial.wanted === describeWanted(workload);
    return isHeld ? denial.untilMs : undefined;
  }

  forget(key: string): void {
    this.#denials.delete(key);
  }

  /** The settings were edited: another prefix may be allowed. */
  clear(): void {
    this.#denials.clear();
  }
}
