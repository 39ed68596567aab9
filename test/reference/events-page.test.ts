import { expect, it } from 'vitest';

import { formatEventsPage } from './events-page.ts';

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
