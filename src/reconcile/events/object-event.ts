import type { EventReason } from './catalogue.ts';
import type { EventEntry } from './event-entry.ts';

/** `note` says what happened, why, and what comes next. Made by `createEvent`, which knows type and action of a reason. */
export interface ObjectEvent extends Pick<EventEntry, 'type' | 'action'> {
  readonly reason: EventReason;
  readonly note: string;
}
