import { EVENTS } from '../../src/reconcile/events/catalogue.ts';
import { EDIT_EFFECTS } from '../../src/settings/settings-change.ts';
import { describeSettings } from '../../src/settings/settings.ts';
import { formatEventsPage } from './events-page.ts';
import { formatSettingsPage } from './settings-page.ts';

/** The pages of docs/reference by file name, each made from the source that it describes. */
export const PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  'events.md': () => formatEventsPage(EVENTS),
  'settings.md': () => formatSettingsPage(describeSettings(), EDIT_EFFECTS),
};
