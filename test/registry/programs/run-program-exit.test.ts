import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { isAlive } from '../../support/child-processes.ts';
import { waitFor } from '../../support/wait-for.ts';
import { createTemporaryFolder, writeScript } from '../temporary-folder.ts';

it('takes its programs with it when it ends without waiting for them', async () => {
  const folder = await createTemporaryFolder();
  const pidFile = join(folder, 'pid');
  const program = await writeScript(folder, 'program', [
    `echo $$ > ${pidFile}`,
    'echo ready >&2',
    'exec sleep 60',
  ]);
  const order = { program, args: [], environment: { PATH: '/bin:/usr/bin' }, stdin: '', timeoutMs: 60_000 };
  const script = `
    import { runProgram } from ${JSON.stringify(import.meta.resolve('../../../src/registry/programs/run-program.ts'))};
    const { signal } = new AbortController();
    await runProgram({ ...${JSON.stringify(order)}, signal, onErrorLine: () => process.exit(1) });
  `;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: 'ignore',
  });
  const [code] = (await once(child, 'exit')) as [number];
  expect(code).toBe(1);
  const pid = Number(await readFile(pidFile, 'utf8'));
  await waitFor(() => !isAlive(pid), { what: 'the program to be gone' });
});
