import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, it } from 'vitest';

import { findFreePort } from './free-port.ts';

const COUNT = 300;

/** Ports that another process finds at its first try. */
async function findElsewhere(): Promise<readonly number[]> {
  const script = `
    import { findFreePort } from '${join(import.meta.dirname, 'free-port.ts')}';
    const ports = [];
    for (let count = 0; count < ${COUNT}; count += 1) ports.push(await findFreePort());
    console.log(ports.join());
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  return stdout.split(',').map(Number);
}

it('never gives a port away twice while whoever asked for it lives', async () => {
  const own: number[] = [];
  for (let count = 0; count < COUNT; count += 1) {
    own.push(await findFreePort());
  }
  const others = await findElsewhere();
  expect(new Set(own).size).toBe(COUNT);
  expect(new Set(others).size).toBe(COUNT);
  expect(others.filter((port) => own.includes(port))).toEqual([]);
});
