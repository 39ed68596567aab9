import type { Workload } from '../../workloads/workload.ts';
import type { ObjectEvent } from '../events/object-event.ts';
import type { EventRecorder } from '../ports.ts';
import { fingerprintOf } from './fingerprint.ts';
import { NOTHING_TOLD, type WorkloadMemory } from './workload-memory.ts';

/**
 * Tells the user of a workload only what has changed: a state that lasts is one event, however often it is looked at.
 * `events` is all there is to say now; what was said the last time is not said again.
 */
export function recordNewEvents(
  { events: recorder, memory }: { readonly events: EventRecorder; readonly memory: WorkloadMemory },
  workload: Workload,
  events: readonly ObjectEvent[],
): void {
  for (const event of events.filter(({ note }) => !memory.toldNotes.has(fingerprintOf(note)))) {
    recorder.record(workload, event);
  }
  memory.toldNotes =
    events.length === 0 ? NOTHING_TOLD : new Set(events.map(({ note }) => fingerprintOf(note)));
}
