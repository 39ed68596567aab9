import type { ObjectEvent } from './object-event.ts';
import { type EventReason, EVENTS } from './catalogue.ts';

/** An event as the catalogue knows it; `note` says what happened, why, and what comes next. */
export function createEvent(reason: EventReason, note: string): ObjectEvent {
  const { type, action } = EVENTS[reason];
  return { type, reason, action, note };
}
