import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { EVENTS } from '../../../src/reconcile/events/catalogue.ts';
import type { EventEntries } from '../../../src/reconcile/events/event-entry.ts';

const SRC = join(import.meta.dirname, '../../../src');

/** Those that tell events; the catalogue itself tells none. */
const sources = globSync('{reconcile,runtime}/**/*.ts', { cwd: SRC })
  .filter((file) => !file.startsWith('reconcile/events/'))
  .map((file) => ({ file, text: readFileSync(join(SRC, file), 'utf8') }));

const ENTRIES: EventEntries = EVENTS;

describe.each(Object.entries(ENTRIES))('the event %s', (reason, { type, meaning, remedy }) => {
  it('is told by somebody', () => {
    expect(sources.filter(({ text }) => text.includes(`'${reason}'`)).length).toBeGreaterThan(0);
  });

  it('says in sentences what it means and what to do', () => {
    expect([meaning, remedy]).toEqual([
      expect.stringMatching(/^[A-Z].*\.$/u),
      expect.stringMatching(/^[A-Z].*\.$/u),
    ]);
  });

  it('asks for something exactly when it warns', () => {
    expect(remedy.startsWith('Nothing has to be done')).toBe(type === 'Normal');
  });
});

it('alone says of which type an event is', () => {
  const wrong = sources.filter(({ text }) => /\btype: '(?:Normal|Warning)'/u.test(text));
  expect(wrong.map(({ file }) => file)).toEqual([]);
});
