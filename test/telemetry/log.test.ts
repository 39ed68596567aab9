import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, it } from 'vitest';

const LOG = join(import.meta.dirname, '../../src/telemetry/log.ts');

it('has every line, in order, although the process ends while all threads of Node are busy', async () => {
  const script = `
    import { pbkdf2 } from 'node:crypto';
    import { createLog } from '${LOG}';
    for (let thread = 0; thread < 8; thread += 1) pbkdf2('', '', 2_000_000, 64, 'sha512', () => {});
    const log = createLog();
    for (const message of ['copied', 'lease released', 'stopped']) log.info(message);
    process.exit();
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  const lines = stdout.trimEnd().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual([
    'copied',
    'lease released',
    'stopped',
  ]);
});
