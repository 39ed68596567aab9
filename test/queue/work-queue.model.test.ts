import fc from 'fast-check';
import type { Logger } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { ApiError, InvalidImageError } from '../../src/errors.ts';
import type { ReconcileResult } from '../../src/queue/outcome.ts';
import { WorkQueue } from '../../src/queue/work-queue.ts';

/*
 * The specification, as simple as it can be said: per key, whether a pass is owed now, when one is owed at the
 * latest, and whether one runs. Time passes and passes end only as commands, in any order that fast-check thinks of.
 */
interface Model {
  readonly owed: Set<string>;
  readonly owedAtMs: Map<string, number>;
  readonly running: Set<string>;
  readonly failures: Map<string, number>;
  nowMs: number;
  concurrency: number;
}

class Real {
  readonly queue: WorkQueue;
  readonly passes = new Map<string, { end(result?: ReconcileResult): void; fail(error: Error): void }>();
  readonly begun: string[] = [];

  constructor(concurrency: number) {
    const log = Object.fromEntries(
      ['debug', 'info', 'warn', 'error'].map((level) => [level, () => undefined]),
    );
    this.queue = new WorkQueue({
      name: 'model',
      concurrency,
      clock: systemClock,
      log: log as unknown as Logger,
      backoff: { firstMs: 100, longestMs: 800 },
      // The shared rate has a test of its own; here it would hide the back-off of a key.
      retryRate: { perSecond: 1e9, burst: 1e9 },
    });
    this.queue.start((key) => {
      expect(this.passes.has(key), `${key} twice at once`).toBe(false);
      this.begun.push(key);
      return new Promise((end, fail) => {
        this.passes.set(key, { end, fail });
      });
    });
  }

  finish(key: string, how: { readonly result?: ReconcileResult; readonly error?: Error }): void {
    const pass = this.passes.get(key);
    this.passes.delete(key);
    if (how.error) {
      pass?.fail(how.error);
    } else {
      pass?.end(how.result);
    }
  }
}

function owe(model: Model, key: string, atMs: number): void {
  if (atMs <= model.nowMs) {
    model.owed.add(key);
  } else {
    model.owedAtMs.set(key, Math.min(atMs, model.owedAtMs.get(key) ?? Infinity));
  }
}

/** What must hold after every step, in any state. */
async function check(model: Model, real: Real): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
  for (const [key, atMs] of model.owedAtMs) {
    if (atMs <= model.nowMs) {
      model.owedAtMs.delete(key);
      model.owed.add(key);
    }
  }
  for (const key of real.begun.splice(0)) {
    expect(model.owed.has(key), `${key} began without being owed`).toBe(true);
    model.owed.delete(key);
    model.running.add(key);
  }
  expect([...real.passes.keys()].toSorted()).toEqual([...model.running].toSorted());
  expect(real.queue.running).toBe(model.running.size);
  const ready = [...model.owed].filter((key) => !model.running.has(key));
  expect(real.queue.depth).toBe(ready.length);
  if (model.running.size < model.concurrency) {
    expect(ready, 'a free worker and waiting keys').toEqual([]);
  }
}

type Command = fc.AsyncCommand<Model, Real>;

function command(
  name: string,
  run: (model: Model, real: Real) => Promise<void> | void,
  isPossible?: (model: Model) => boolean,
): Command {
  return {
    check: (model) => isPossible?.(model) ?? true,
    run: async (model, real) => {
      await run(model, real);
      await check(model, real);
    },
    toString: () => name,
  };
}

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const delay = fc.integer({ min: 0, max: 1_000 });

const add = key.map((of) =>
  command(`add ${of}`, (model, real) => {
    real.queue.add(of);
    owe(model, of, model.nowMs);
  }),
);

const addAfter = fc.tuple(key, delay).map(([of, ms]) =>
  command(`add ${of} after ${ms}`, (model, real) => {
    real.queue.addAfter(of, ms);
    owe(model, of, model.nowMs + ms);
  }),
);

const elapse = delay.map((ms) =>
  command(`wait ${ms}`, async (model) => {
    await vi.advanceTimersByTimeAsync(ms);
    model.nowMs += ms;
  }),
);

const succeed = fc.tuple(key, fc.option(delay, { nil: undefined })).map(([of, requeueAfterMs]) =>
  command(
    `${of} succeeds, looks again after ${requeueAfterMs}`,
    (model, real) => {
      model.running.delete(of);
      model.failures.delete(of);
      if (requeueAfterMs !== undefined) {
        owe(model, of, model.nowMs + requeueAfterMs);
      }
      real.finish(of, { result: { requeueAfterMs } });
    },
    (model) => model.running.has(of),
  ),
);

const fail = fc.tuple(key, fc.boolean()).map(([of, passes]) =>
  command(
    `${of} fails, ${passes ? 'for now' : 'for good'}`,
    (model, real) => {
      model.running.delete(of);
      const failures = model.failures.get(of) ?? 0;
      if (passes) {
        model.failures.set(of, failures + 1);
        owe(model, of, model.nowMs + Math.min(100 * 2 ** failures, 800));
      } else {
        model.failures.delete(of);
      }
      real.finish(of, {
        error: passes ? new ApiError('x', { status: 503, reason: 'Busy' }) : new InvalidImageError('x'),
      });
    },
    (model) => model.running.has(of),
  ),
);

const resize = fc.integer({ min: 1, max: 4 }).map((concurrency) =>
  command(`${concurrency} workers`, (model, real) => {
    model.concurrency = concurrency;
    real.queue.setConcurrency(concurrency);
  }),
);

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

it('loses no key, and works on none twice at once, in any order of events', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.commands([add, addAfter, elapse, succeed, fail, resize], { maxCommands: 60, size: 'max' }),
      async (concurrency, commands) => {
        vi.clearAllTimers();
        const real = new Real(concurrency);
        const model: Model = {
          owed: new Set(),
          owedAtMs: new Map(),
          running: new Set(),
          failures: new Map(),
          nowMs: 0,
          concurrency,
        };
        await fc.asyncModelRun(() => ({ model, real }), commands);
        real.queue.shutDown();
        for (const of of real.passes.keys()) {
          real.finish(of, {});
        }
        await vi.advanceTimersByTimeAsync(0);
        expect(vi.getTimerCount(), 'timers left after the end').toBe(0);
      },
    ),
    { numRuns: 500 },
  );
});
