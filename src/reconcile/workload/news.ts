import { formatWorkloadKey } from '../../workloads/kinds.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { EventRecorder, ObjectEvent } from '../ports.ts';

/** Tells the user of a workload only what has changed: a state that lasts is one event, however often it is looked at. */
export class News {
  readonly #events: EventRecorder;
  readonly #told = new Map<string, ReadonlySet<string>>();

  constructor(events: EventRecorder) {
    this.#events = events;
  }

  /** `events` is all there is to say now; what was said the last time is not said again. */
  tell(workload: Workload, events: readonly ObjectEvent[]): void {
    const key = formatWorkloadKey(workload);
    const before = this.#told.get(key);
    for (const event of events.filter(({ note }) => !before?.has(note))) {
      this.#events.record(workload, event);
    }
    if (events.length === 0) {
      this.#told.delete(key);
    } else {
      this.#told.set(key, new Set(events.map(({ note }) => note)));
    }
  }

  forget(key: string): void {
    this.#told.delete(key);
  }
}
