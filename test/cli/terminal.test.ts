import { PassThrough } from 'node:stream';

import { expect, it } from 'vitest';

import { createTerminal, type Streams } from '../../src/cli/terminal.ts';

function openTerminal({ isWatched = false } = {}) {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const stderr = Object.assign(new PassThrough(), { isTTY: isWatched, columns: 20 });
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

function readAll(stream: PassThrough): string {
  const chunks: unknown[] = [];
  for (let chunk: unknown = stream.read(); chunk !== null; chunk = stream.read()) {
    chunks.push(chunk);
  }
  return chunks.join('');
}

const CLEAR = '\r\u001B[2K';

it('shows progress in one line, no longer than the terminal is wide, and takes it away', () => {
  const { terminal, stderr } = openTerminal({ isWatched: true });
  terminal.show('1 of 2');
  terminal.show('looked at 2 of 2 workloads');
  terminal.show('');
  terminal.show('');
  expect(readAll(stderr)).toBe(`${CLEAR}1 of 2${CLEAR}looked at 2 of 2 wo${CLEAR}`);
});

it('takes progress away before anything else is written', async () => {
  const { terminal, stdout, stderr } = openTerminal({ isWatched: true });
  terminal.show('1 of 2');
  await terminal.say('warning');
  terminal.show('2 of 2');
  await terminal.print('table\n');
  expect(readAll(stderr)).toBe(`${CLEAR}1 of 2${CLEAR}warning\n${CLEAR}2 of 2${CLEAR}`);
  expect(readAll(stdout)).toBe('table\n');
});

it('shows no progress where nobody watches', () => {
  const { terminal, stderr } = openTerminal();
  terminal.show('1 of 2');
  expect(stderr.read()).toBeNull();
});
