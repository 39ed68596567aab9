/** Writes the pages of docs/reference, each from the source that it describes. */
import { mkdirSync, writeFileSync } from 'node:fs';

import { PAGES } from './pages.ts';

const FOLDER = new URL('../../docs/reference/', import.meta.url);

mkdirSync(FOLDER, { recursive: true });
for (const [name, format] of Object.entries(PAGES)) {
  writeFileSync(new URL(name, FOLDER), await format());
}
