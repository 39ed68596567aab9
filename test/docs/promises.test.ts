import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { expect, it } from 'vitest';

const PAGE = join(import.meta.dirname, '../../docs/security.md');
const [, table = ''] =
  /<!-- promises: [^>]*-->(.*?)<!-- end of promises -->/s.exec(readFileSync(PAGE, 'utf8')) ?? [];
const ROWS = table.split('\n').filter((line) => /^\| [A-Z]/.test(line));

it('has promises', () => {
  expect(ROWS.length).toBeGreaterThan(10);
});

it.each(ROWS.map((row) => [(row.split('|')[1] ?? '').trim(), row]))(
  '“%s” names a test that is there',
  (_, row) => {
    const [, file = '', words = ''] = /\]\((\.\.\/test\/[^)]*\.test\.ts)\): "([^"]+)"/.exec(row) ?? [];
    expect(readFileSync(join(dirname(PAGE), file), 'utf8')).toContain(words);
  },
);
