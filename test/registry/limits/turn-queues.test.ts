import { expect, it } from 'vitest';

import { createTurnQueues } from '../../../src/registry/limits/turn-queues.ts';

const { signal } = new AbortController();

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

function createGate(): Gate {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  return { opened, open };
}

it('runs tasks of one key one after the other, in order', async () => {
  const turns = createTurnQueues();
  const seen: string[] = [];
  const task = (name: string) => async (): Promise<string> => {
    seen.push(`${name} starts`);
    await Promise.resolve();
    seen.push(`${name} ends`);
    return name;
  };
  expect(await Promise.all(['a', 'b', 'c'].map((name) => turns.run('key', task(name), signal)))).toEqual([
    'a',
    'b',
    'c',
  ]);
  expect(seen).toEqual(['a starts', 'a ends', 'b starts', 'b ends', 'c starts', 'c ends']);
});

it('runs tasks of two keys at the same time', async () => {
  const turns = createTurnQueues();
  const gate = createGate();
  const first = turns.run('one', () => gate.opened, signal);
  await turns.run('two', async () => gate.open(), signal);
  await expect(first).resolves.toBeUndefined();
});

it('goes on after a task that failed', async () => {
  const turns = createTurnQueues();
  const failed = turns.run('key', () => Promise.reject(new Error('oops')), signal);
  const next = turns.run('key', async () => 'next', signal);
  await expect(failed).rejects.toThrow('oops');
  expect(await next).toBe('next');
});

it('takes out a waiting task that is no longer wanted', async () => {
  const turns = createTurnQueues();
  const gate = createGate();
  const controller = new AbortController();
  const running = turns.run('key', () => gate.opened, signal);
  const waiting = turns.run('key', async () => 'never', controller.signal);
  controller.abort(new Error('not wanted'));
  await expect(waiting).rejects.toThrow('not wanted');
  gate.open();
  await running;
});

it('gives a turn away only when the task has ended, wanted or not', async () => {
  const turns = createTurnQueues();
  const gate = createGate();
  const controller = new AbortController();
  let isOver = false;
  const running = turns.run(
    'key',
    async () => {
      await gate.opened;
      isOver = true;
    },
    controller.signal,
  );
  const next = turns.run('key', async () => isOver, signal);
  controller.abort();
  gate.open();
  await running;
  expect(await next).toBe(true);
});

it('remembers no key that has nothing to do', async () => {
  const turns = createTurnQueues();
  await Promise.all([turns.run('a', async () => 1, signal), turns.run('a', async () => 2, signal)]);
  await expect(turns.run('b', () => Promise.reject(new Error('oops')), signal)).rejects.toThrow('oops');
  await expect(turns.run('c', async () => 1, AbortSignal.abort(new Error('not wanted')))).rejects.toThrow(
    'not wanted',
  );
  expect(turns.size).toBe(0);
});
