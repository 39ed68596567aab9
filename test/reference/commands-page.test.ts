import { Command, Option } from 'commander';
import { expect, it } from 'vitest';

import { formatCommandsPage } from './commands-page.ts';

it('says of a command what its help says', () => {
  const program = new Command('program');
  program
    .command('look')
    .description('Looks.')
    .argument('[place]', 'where')
    .addOption(new Option('-o, --output <format>', 'how').choices(['table', 'json']).default('table'))
    .option('--far', 'from far away', false)
    .addHelpText('after', '\nExit codes:\n  0  seen');
  expect(formatCommandsPage(program).split('\n').slice(-15)).toEqual([
    '## look',
    '',
    'Looks.',
    '',
    '| argument or flag | default | meaning |',
    '| --- | --- | --- |',
    '| `[place]` |  | where |',
    '| `-o, --output <format>` | `table` | how: `table`, `json` |',
    '| `--far` | `off` | from far away |',
    '',
    '```text',
    'Exit codes:',
    '  0  seen',
    '```',
    '',
  ]);
});
