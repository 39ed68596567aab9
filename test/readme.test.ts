import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { describeSettings } from '../src/settings/settings.ts';
import { formatFallback } from './reference/settings-page.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

/** The rows of the table of settings, as cells. */
function settingsRows(): readonly (readonly string[])[] {
  const [, table = ''] = /<!-- settings: [^>]*-->(.*?)<!-- end of settings -->/s.exec(readme) ?? [];
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

it('shows the settings that come first, with their default and their meaning', () => {
  const settings = describeSettings().map(({ key, fallback, meaning }) => [
    `\`${key}\``,
    formatFallback(fallback),
    meaning,
  ]);
  const shown = settingsRows();
  expect(shown).toHaveLength(5);
  const keys = new Set(shown.map(([key]) => key));
  expect(shown).toEqual(settings.filter(([key]) => keys.has(key)));
});

it('names only make targets that exist', () => {
  const makefile = readFileSync(new URL('../Makefile', import.meta.url), 'utf8');
  const known = new Set([...makefile.matchAll(/^([a-z-]+):/gm)].map(([, target]) => target));
  const commands = [...readme.matchAll(/(?:^|`)make ((?:[a-z-]+ )*[a-z-]+)/gm)].map(
    ([, targets = '']) => targets,
  );
  const named = commands.flatMap((targets) => targets.split(' '));
  expect(named).toContain('demo');
  expect(named.filter((target) => !known.has(target))).toEqual([]);
});
