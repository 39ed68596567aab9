import { COPY_EVENTS } from './copy-events.ts';
import { RESTORE_EVENTS } from './restore-events.ts';
import { SETTINGS_EVENTS } from './settings-events.ts';
import { SWAP_EVENTS } from './swap-events.ts';

/** Every event that the controller tells, by its reason; docs/reference/events.md is made of it. */
export const EVENTS = { ...COPY_EVENTS, ...RESTORE_EVENTS, ...SETTINGS_EVENTS, ...SWAP_EVENTS };

/** Alerts and scripts of users look for these words: none is renamed lightly. */
export type EventReason = keyof typeof EVENTS;
