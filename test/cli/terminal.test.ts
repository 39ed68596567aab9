import { PassThrough } from 'node:stream';

import { expect, it } from 'vitest';

import { createTerminal, type Streams } from '../../src/cli/terminal.ts';

function openTerminal() {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const terminal = createTerminal({ stdin, stdout, stderr } as unknown as Streams);
  return { terminal, stdin, stdout, stderr };
}

it.each([
  ['y\n', true],
  ['Yes\n', true],
  ['\n', false],
  ['no\n', false],
  ['yesterday\n', false],
])('takes the answer %j for %s', async (answer, expected) => {
  const { terminal, stdin, stderr } = openTerminal();
  const asked = terminal.ask('Put them back?');
  stdin.write(answer);
  expect(await asked).toBe(expected);
  expect(String(stderr.read())).toBe('Put them back? [y/N] ');
});

it('takes the end of the input for a no', async () => {
  const { terminal, stdin } = openTerminal();
  const asked = terminal.ask('Put them back?');
  stdin.end();
  expect(await asked).toBe(false);
});

it('keeps output and what is said besides apart', async () => {
  const { terminal, stdout, stderr } = openTerminal();
  await terminal.print('table\n');
  await terminal.say('warning');
  expect([String(stdout.read()), String(stderr.read())]).toEqual(['table\n', 'warning\n']);
});

it('fails to print once nobody reads any more, without ending the process', async () => {
  const { terminal, stdout } = openTerminal();
  stdout.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
  await expect(terminal.print('more')).rejects.toThrow(/EPIPE|destroyed/);
});
