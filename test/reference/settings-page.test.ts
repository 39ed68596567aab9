import { expect, it } from 'vitest';

import { EDIT_EFFECTS } from '../../src/settings/settings-change.ts';
import { formatSettingsPage } from './settings-page.ts';

it('says all of a setting, with links that lead out of docs/reference', () => {
  const meaning = 'Who may pull; see [Pull secret](README.md#pull-secret).';
  const page = formatSettingsPage([{ key: 'LOG_LEVEL', fallback: '', allowed: 'a name', meaning }], {
    ...EDIT_EFFECTS,
    LOG_LEVEL: { copies: 'forgotten', why: 'They are elsewhere.' },
  });
  expect(page.split('\n').slice(-8)).toEqual([
    '## LOG_LEVEL',
    '',
    'Who may pull; see [Pull secret](../../README.md#pull-secret).',
    '',
    '- Default: none',
    '- Allowed: a name',
    '- What is known of copies after an edit: forgotten. They are elsewhere.',
    '',
  ]);
});
