import { ChildProcess } from 'node:child_process';

import { expect, it, onTestFinished, vi } from 'vitest';

import { waitForEnd } from '../../../src/registry/programs/program-end.ts';

/** As a process in an uninterruptible sleep looks from here: nothing that is done to it makes it end. */
function anUnkillableProcess(): ChildProcess {
  const child = new ChildProcess();
  child.unref = () => undefined;
  return child;
}

it('waits no longer for a program that does not even end when it is killed', async () => {
  const givenUp = new AbortController();
  const end = waitForEnd(anUnkillableProcess(), givenUp.signal);
  givenUp.abort();
  expect(await end).toBeNull();
});

it('lets what a program has written arrive before it counts as ended', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const child = anUnkillableProcess();
  const end = waitForEnd(child, new AbortController().signal);
  child.emit('exit', 3, null);
  child.emit('close', 3, null);
  expect(await end).toBe(3);
  expect(vi.getTimerCount()).toBe(0);
});
