import { describe, expect, it } from 'vitest';

import type { CopyShare } from '../../../src/reconcile/ports.ts';
import { type CopyTurn, CopyTurns, chooseTurn } from '../../../src/registry/limits/copy-turns.ts';

const { signal } = new AbortController();

let count = 0;

function aTurn(
  repository: string,
  turn: Partial<CopyTurn & CopyShare> = {},
): CopyTurn & { readonly number: number } {
  const { host = 'docker.io', namespaces = ['shop'], isAlone = false, isUrgent = false } = turn;
  count += 1;
  return { repository, host, share: { namespaces, isAlone, isUrgent }, number: count };
}

const running = (turn: CopyTurn) => ({ ...turn, namespace: turn.share?.namespaces[0] ?? '' });

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

function createGate(): Gate {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  return { opened, open };
}

describe('the next turn', () => {
  it.each<[string, ReturnType<typeof aTurn>[], ReturnType<typeof aTurn>[], string | undefined]>([
    ['is that of the copy that has waited longest', [], [aTurn('a'), aTurn('b')], 'a'],
    [
      'is nobody while all engines run',
      [aTurn('w'), aTurn('x'), aTurn('y'), aTurn('z')],
      [aTurn('a')],
      undefined,
    ],
    ['is not of a repository that is written to', [aTurn('a')], [aTurn('a'), aTurn('b')], 'b'],
    [
      'is of the namespace that has the fewest copies under way',
      [aTurn('x'), aTurn('y')],
      [aTurn('a'), aTurn('b', { namespaces: ['blog'] })],
      'b',
    ],
    [
      'is of an urgent copy before those of namespaces with as many under way',
      [],
      [aTurn('a', { namespaces: ['blog'] }), aTurn('b', { isUrgent: true })],
      'b',
    ],
    [
      'leaves an engine to other namespaces, urgent or not',
      [aTurn('x'), aTurn('y'), aTurn('z', { host: 'quay.io' })],
      [aTurn('a', { isUrgent: true, host: 'quay.io' })],
      undefined,
    ],
    [
      'leaves an engine to other hosts',
      [aTurn('x'), aTurn('y', { namespaces: ['blog'] }), aTurn('z', { namespaces: ['wiki'] })],
      [aTurn('a', { namespaces: ['mail'] }), aTurn('b', { namespaces: ['mail'], host: 'quay.io' })],
      'b',
    ],
    [
      'is of a copy that several want with the turn of any of them',
      [aTurn('x'), aTurn('y'), aTurn('z', { host: 'quay.io' })],
      [aTurn('a', { namespaces: ['shop', 'blog'], host: 'quay.io' })],
      'a',
    ],
  ])('%s', (_, now, waiting, expected) => {
    expect(chooseTurn(waiting, now.map(running), 4)?.turn.repository).toBe(expected);
  });

  it('is of a copy that was overtaken often enough by urgent ones', { tags: 'attack-share' }, () => {
    const first = aTurn('a');
    const urgent = (): ReturnType<typeof aTurn> => aTurn('a', { namespaces: ['hostile'], isUrgent: true });
    const overtaken = Array.from({ length: 15 }, urgent);
    expect(chooseTurn([first, ...overtaken], [], 4)?.turn).toBe(overtaken[0]);
    expect(chooseTurn([first, urgent()], [], 4)?.turn).toBe(first);
  });

  it('takes the last engine, too, when there is no other namespace and no other host', () => {
    const turns = ['w', 'x', 'y', 'a'].map((name) => aTurn(name, { isAlone: true }));
    expect(chooseTurn(turns.slice(3), turns.slice(0, 3).map(running), 4)?.turn).toBe(turns[3]);
  });

  it('is anybody when there is only one engine', () => {
    expect(chooseTurn([aTurn('a'), aTurn('b', { host: 'quay.io' })], [], 1)?.turn.repository).toBe('a');
  });
});

it('makes copies into one repository one after the other, in order', async () => {
  const turns = new CopyTurns(() => 4);
  const seen: string[] = [];
  const copy = (name: string) => async (): Promise<string> => {
    seen.push(`${name} begins`);
    await Promise.resolve();
    seen.push(`${name} ends`);
    return name;
  };
  const results = ['a', 'b'].map((name) => turns.run(aTurn('nginx'), copy(name), signal));
  expect(await Promise.all(results)).toEqual(['a', 'b']);
  expect(seen).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
});

it('tells a copy for whom it is made: of those that wait for it, for the one with the fewest under way', async () => {
  const turns = new CopyTurns(() => 4);
  const gate = createGate();
  const first = turns.run(aTurn('a', { namespaces: ['busy'] }), () => gate.opened, signal);
  const both = turns.run(
    aTurn('b', { namespaces: ['busy', 'idle'] }),
    async (namespace) => namespace,
    signal,
  );
  expect(await both).toBe('idle');
  gate.open();
  await first;
});

it('goes on after a copy that failed', async () => {
  const turns = new CopyTurns(() => 1);
  const failed = turns.run(aTurn('a'), () => Promise.reject(new Error('oops')), signal);
  const next = turns.run(aTurn('b'), async () => 'next', signal);
  await expect(failed).rejects.toThrow('oops');
  expect(await next).toBe('next');
});

it('takes out a waiting copy that is no longer wanted', async () => {
  const turns = new CopyTurns(() => 1);
  const gate = createGate();
  const controller = new AbortController();
  const first = turns.run(aTurn('a'), () => gate.opened, signal);
  const waiting = turns.run(aTurn('b'), async () => 'never', controller.signal);
  controller.abort(new Error('not wanted'));
  await expect(waiting).rejects.toThrow('not wanted');
  gate.open();
  await first;
  await expect(turns.run(aTurn('c'), async () => 1, controller.signal)).rejects.toThrow('not wanted');
});

it('gives a turn away only when the copy has ended, wanted or not', async () => {
  const turns = new CopyTurns(() => 1);
  const gate = createGate();
  const controller = new AbortController();
  let isOver = false;
  const slow = async (): Promise<void> => {
    await gate.opened;
    isOver = true;
  };
  const first = turns.run(aTurn('a'), slow, controller.signal);
  const next = turns.run(aTurn('b'), async () => isOver, signal);
  controller.abort();
  gate.open();
  await first;
  expect(await next).toBe(true);
});

it(
  'begins the copy of one tenant although another has many that do not end',
  { tags: 'attack-share' },
  async () => {
    const turns = new CopyTurns(() => 4);
    const stop = new AbortController();
    const endless = Array.from({ length: 50 }, (_, index) =>
      turns.run(
        aTurn(`r${index}`, { namespaces: ['hostile'], host: `h${index}.example`, isUrgent: true }),
        () => createGate().opened,
        stop.signal,
      ),
    );
    expect(await turns.run(aTurn('nginx'), async () => 'copied', signal)).toBe('copied');
    stop.abort(new Error('the end'));
    await Promise.allSettled(endless.slice(3));
  },
);
