import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { EVENTS } from '../../src/reconcile/events/catalogue.ts';
import { formatEventsPage } from './events-page.ts';

it('is committed as it is generated', () => {
  const page = readFileSync(new URL('../../docs/reference/events.md', import.meta.url), 'utf8');
  expect(page, 'docs/reference/events.md is out of date: run npm run reference').toBe(
    formatEventsPage(EVENTS),
  );
});

it('has one row for each reason, in their order', () => {
  const entry = { type: 'Normal', action: 'CopyImage', about: 'workload' } as const;
  const page = formatEventsPage({
    Later: { ...entry, meaning: 'One | two.', remedy: 'Wait.' },
    Earlier: { ...entry, meaning: 'Gone.', remedy: 'Nothing.' },
  });
  expect(page.split('\n').slice(-4)).toEqual([
    '| --- | --- | --- | --- | --- |',
    '| `Earlier` | Normal | workload | Gone. | Nothing. |',
    String.raw`| ${'`Later`'} | Normal | workload | One \| two. | Wait. |`,
    '',
  ]);
});
