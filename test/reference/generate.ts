/** Writes the pages of docs/reference, each from the source that it describes. */
import { mkdirSync, writeFileSync } from 'node:fs';

import { EVENTS } from '../../src/reconcile/events/catalogue.ts';
import { formatEventsPage } from './events-page.ts';

const FOLDER = new URL('../../docs/reference/', import.meta.url);

mkdirSync(FOLDER, { recursive: true });
writeFileSync(new URL('events.md', FOLDER), formatEventsPage(EVENTS));
