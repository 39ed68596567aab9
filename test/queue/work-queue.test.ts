import type { Logger } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { ApiError, ConflictError, InvalidImageError } from '../../src/errors.ts';
import type { ReconcileResult } from '../../src/queue/outcome.ts';
import { type Reconcile, type WorkQueueOptions, WorkQueue } from '../../src/queue/work-queue.ts';

/** One pass that a test ends when it likes. */
interface Pass {
  readonly key: string;
  readonly signal: AbortSignal;
  end(result?: ReconcileResult): void;
  fail(error: unknown): void;
}

let passes: Pass[];
let log: { level: string; message: string }[];
let measured: string[];

beforeEach(() => {
  vi.useFakeTimers();
  passes = [];
  log = [];
  measured = [];
});

afterEach(() => {
  vi.useRealTimers();
});

const write = (level: string) => (_: unknown, message: string) => log.push({ level, message });

const recordPass: Reconcile = (key, signal) =>
  new Promise((resolve, reject) => {
    passes.push({ key, signal, end: resolve, fail: reject });
  });

function createQueue(parts: Partial<WorkQueueOptions> = {}): WorkQueue {
  return new WorkQueue({
    name: 'test',
    concurrency: 2,
    clock: systemClock,
    log: {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
    } as unknown as Logger,
    ...parts,
  });
}

function started(parts: Partial<WorkQueueOptions> = {}): WorkQueue {
  const queue = createQueue(parts);
  queue.start(recordPass);
  return queue;
}

const keys = () => passes.map(({ key }) => key).join();
const settle = () => vi.advanceTimersByTimeAsync(0);
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

async function endPass(nth: number, result?: ReconcileResult): Promise<void> {
  passes[nth]?.end(result);
  await settle();
}

async function failPass(nth: number, error: unknown): Promise<void> {
  passes[nth]?.fail(error);
  await settle();
}

describe('adding', () => {
  it('makes keys wait, once each and in order, until the queue starts', () => {
    const queue = createQueue({ concurrency: 1 });
    for (const key of ['a', 'b', 'a', 'c', 'b']) {
      queue.add(key);
    }
    expect([queue.depth, keys()]).toEqual([3, '']);
    queue.start(recordPass);
    expect([queue.depth, queue.running, keys()]).toEqual([2, 1, 'a']);
  });

  it('works on as many keys at once as it may, and no more', async () => {
    const queue = started();
    for (const key of ['a', 'b', 'c', 'd']) {
      queue.add(key);
    }
    expect(keys()).toBe('a,b');
    queue.setConcurrency(3);
    expect(keys()).toBe('a,b,c');
    queue.setConcurrency(1);
    await endPass(0);
    await endPass(1);
    expect(keys()).toBe('a,b,c');
    await endPass(2);
    expect(keys()).toBe('a,b,c,d');
  });

  it('never works on a key twice at once, but once more when it was added meanwhile', async () => {
    const queue = started();
    queue.add('a');
    queue.add('a');
    queue.add('a');
    expect(keys()).toBe('a');
    await endPass(0);
    expect(keys()).toBe('a,a');
    await endPass(1);
    expect([queue.running, queue.depth, keys()]).toEqual([0, 0, 'a,a']);
  });

  it('puts a key that was added meanwhile behind those that waited', async () => {
    const queue = started({ concurrency: 1 });
    queue.add('a');
    queue.add('b');
    queue.add('a');
    await endPass(0);
    await endPass(1);
    expect(keys()).toBe('a,b,a');
  });

  it('after a failure does not wait for the back-off', async () => {
    const queue = started({ backoff: { firstMs: 60_000, longestMs: 60_000 } });
    queue.add('a');
    queue.add('a');
    await failPass(0, new Error('failed'));
    expect(keys()).toBe('a,a');
  });
});

describe('adding for later', () => {
  it('only ever moves a key to an earlier time', async () => {
    const queue = started();
    queue.addAfter('a', 10_000);
    queue.addAfter('a', 60_000);
    queue.addAfter('a', 3_000);
    queue.addAfter('a', 5_000);
    await pass(2_999);
    expect(keys()).toBe('');
    await pass(1);
    expect(keys()).toBe('a');
    await endPass(0);
    await pass(100_000);
    expect(keys()).toBe('a');
  });

  it('keeps the appointment although the key is added before', async () => {
    const queue = started();
    queue.addAfter('a', 1_000);
    queue.add('a');
    await endPass(0);
    await pass(1_000);
    expect(keys()).toBe('a,a');
  });

  it('is forgotten with a key that nobody wants any more', { tags: 'attack-size' }, async () => {
    const queue = started();
    queue.addAfter('a', 100);
    queue.forget('a');
    expect(vi.getTimerCount()).toBe(0);
    await pass(100);
    expect(passes).toEqual([]);
  });

  it('means now when there is nothing to wait for', () => {
    started().addAfter('a', 0);
    expect(keys()).toBe('a');
  });

  it('takes times that are longer than a timer can be', async () => {
    const queue = started();
    queue.addAfter('a', 365 * 86_400_000);
    await pass(1_000);
    expect(keys()).toBe('');
    queue.shutDown();
  });
});

describe('outcomes', () => {
  const busy = new ApiError('busy', { status: 503, reason: 'Busy' });

  it('success is the end of it', async () => {
    started().add('a');
    await endPass(0);
    await pass(3_600_000);
    expect(keys()).toBe('a');
    expect(log).toEqual([]);
  });

  it('looking again happens when it was asked for', async () => {
    started().add('a');
    await endPass(0, { requeueAfterMs: 30_000 });
    await pass(29_999);
    expect(keys()).toBe('a');
    await pass(1);
    expect(keys()).toBe('a,a');
  });

  it('looking again at once is one more pass, also when all workers are busy', async () => {
    const queue = started({ concurrency: 1 });
    queue.add('a');
    queue.add('b');
    await endPass(0, { requeueAfterMs: 0 });
    expect([keys(), queue.depth]).toEqual(['a,b', 1]);
    await endPass(1);
    await endPass(2);
    expect([keys(), queue.depth, queue.running]).toEqual(['a,b,a', 0, 0]);
  });

  it('a failure that passes is tried again, later each time, until a success', async () => {
    started().add('a');
    for (const [nth, delayMs] of [5, 10, 20, 40].entries()) {
      await failPass(nth, busy);
      await pass(delayMs - 1);
      expect(passes).toHaveLength(nth + 1);
      await pass(1);
      expect(passes).toHaveLength(nth + 2);
    }
    await endPass(4, { requeueAfterMs: 1 });
    await pass(1);
    await failPass(5, busy);
    await pass(5);
    expect(passes).toHaveLength(7);
    expect(log[0]).toEqual({ level: 'warn', message: 'will retry' });
  });

  it('the pause between failures has an end', async () => {
    started({ backoff: { firstMs: 1_000, longestMs: 4_000 } }).add('a');
    for (const [nth, delayMs] of [1_000, 2_000, 4_000, 4_000].entries()) {
      await failPass(nth, busy);
      await pass(delayMs - 1);
      expect(passes).toHaveLength(nth + 1);
      await pass(1);
    }
  });

  it('a wish to be left alone is respected', async () => {
    started().add('a');
    await failPass(0, new ApiError('busy', { status: 429, reason: 'Busy', retryAfterMs: 7_000 }));
    await pass(6_999);
    expect(keys()).toBe('a');
    await pass(1);
    expect(keys()).toBe('a,a');
  });

  it('a final failure is told, and looked at again much later', async () => {
    started().add('a');
    await failPass(0, new InvalidImageError('not an image'));
    await pass(599_999);
    expect(keys()).toBe('a');
    expect(log).toEqual([{ level: 'error', message: 'cannot be done as things are, looked at again later' }]);
  });

  it('a conflict is looked at again soon and quietly, apart from failures', async () => {
    started({ backoff: { firstMs: 60_000, longestMs: 60_000 } }).add('a');
    await failPass(0, new ConflictError('changed'));
    await pass(25);
    expect(keys()).toBe('a,a');
    expect(log.map(({ level }) => level)).toEqual(['debug']);
  });

  it('a mistake of ours is loud, and tried again', async () => {
    started().add('a');
    await failPass(0, new TypeError('x is not a function'));
    await pass(5);
    expect(keys()).toBe('a,a');
    expect(log).toEqual([{ level: 'error', message: 'unexpected failure, will retry' }]);
  });

  it('a reconciler that throws before it returns a promise has failed too', async () => {
    const queue = createQueue();
    queue.start((key) => {
      passes.push({ key } as Pass);
      throw new TypeError('at once');
    });
    queue.add('a');
    await settle();
    await pass(5);
    expect(keys()).toBe('a,a');
  });

  it('many failing keys of one namespace share one rate', async () => {
    const queue = started({ concurrency: 10, retryRate: { perSecond: 1, burst: 2 } });
    for (const key of ['a', 'b', 'c', 'd']) {
      queue.add(key);
    }
    for (let nth = 0; nth < 4; nth++) {
      await failPass(nth, busy);
    }
    await pass(5);
    expect(passes.slice(4).map(({ key }) => key)).toEqual(['a', 'b']);
    await pass(1_000);
    expect(passes).toHaveLength(7);
    await pass(1_000);
    expect(passes).toHaveLength(8);
  });
});

describe('shares', () => {
  const byPrefix = (key: string) => ({ namespaces: [key.split('/')[0] ?? ''] });

  it(
    'works for one namespace although the keys of another fill all workers',
    { tags: 'attack-share' },
    async () => {
      const queue = started({ concurrency: 4, findShare: byPrefix });
      for (let nth = 0; nth < 50; nth++) {
        queue.add(`hostile/${nth}`);
      }
      queue.add('shop/web');
      expect(keys()).toBe('hostile/0,hostile/1,hostile/2,shop/web');
      await endPass(3);
      expect(passes).toHaveLength(4);
      queue.shutDown();
    },
  );

  it('works on a key that another namespace wants as well with the turn of that one', async () => {
    const wantedBy = new Map<string, string[]>();
    const queue = started({
      concurrency: 4,
      findShare: (key) => ({ namespaces: wantedBy.get(key) ?? ['hostile'] }),
    });
    for (const key of ['a', 'b', 'c', 'd', 'nginx']) {
      queue.add(key);
    }
    expect(keys()).toBe('a,b,c');
    wantedBy.set('nginx', ['hostile', 'shop']);
    queue.widen('nginx');
    expect(keys()).toBe('a,b,c,nginx');
    queue.shutDown();
  });

  it(
    'tries a key again at its time although many of another namespace fail',
    { tags: 'attack-share' },
    async () => {
      const busy = new ApiError('busy', { status: 503, reason: 'ServiceUnavailable' });
      const queue = started({ concurrency: 400, findShare: byPrefix });
      for (let nth = 0; nth < 300; nth++) {
        queue.add(`hostile/${nth}`);
      }
      queue.add('shop/web');
      for (let nth = 0; nth <= 300; nth++) {
        passes[nth]?.fail(busy);
      }
      await settle();
      await pass(5);
      expect(passes.slice(301).map(({ key }) => key)).toContain('shop/web');
      queue.shutDown();
    },
  );
});

describe('stopping', () => {
  it('lets running passes finish, drops waiting keys and takes no new ones', async () => {
    const queue = started({ concurrency: 1 });
    queue.add('a');
    queue.add('waiting');
    queue.add('a');
    queue.addAfter('later', 10);
    const draining = queue.drain(60_000);
    queue.add('new');
    queue.addAfter('new', 10);
    await pass(1_000);
    passes[0]?.end({ requeueAfterMs: 10 });
    await expect(draining).resolves.toBe(true);
    await pass(60_000);
    expect(keys()).toBe('a');
    expect([queue.depth, queue.running, vi.getTimerCount()]).toEqual([0, 0, 0]);
  });

  it('ends passes that take too long', async () => {
    const queue = started();
    queue.add('a');
    queue.add('b');
    passes[0]?.signal.addEventListener('abort', () => passes[0]?.fail(new Error('told to stop')));
    const draining = queue.drain(10_000);
    await pass(9_999);
    expect(passes[0]?.signal.aborted).toBe(false);
    await pass(1);
    expect(passes[0]?.signal.aborted).toBe(true);
    await pass(5_000);
    await expect(draining).resolves.toBe(false);
    expect(queue.running).toBe(1);
    expect(log.map(({ level }) => level)).toEqual(['warn', 'debug']);
  });

  it('is done at once when nothing runs', async () => {
    await expect(started().drain(10_000)).resolves.toBe(true);
    await expect(createQueue().drain(10_000)).resolves.toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends everything at once when told to', async () => {
    const queue = started();
    queue.add('a');
    queue.shutDown();
    expect(passes[0]?.signal.aborted).toBe(true);
    await failPass(0, new Error('told to stop'));
    await pass(60_000);
    expect(keys()).toBe('a');
  });
});

describe('numbers', () => {
  it('are told as things happen', async () => {
    const note = (name: string) => (value?: number | string) => {
      measured.push(value === undefined ? name : `${name} ${value}`);
    };
    const queue = started({
      concurrency: 1,
      metrics: {
        depth: note('depth'),
        added: note('added'),
        latency: note('latency'),
        workDuration: note('workDuration'),
        retries: note('retries'),
        result: note('result'),
      },
    });
    queue.add('a');
    queue.add('b');
    await pass(2_000);
    expect(queue.longestRunningMs()).toBe(2_000);
    measured = [];
    await failPass(0, new ConflictError('changed'));
    expect(measured).toEqual(['workDuration 2', 'result conflict', 'retries', 'latency 2', 'depth 0']);
    expect(queue.longestRunningMs()).toBe(0);
    queue.shutDown();
  });
});

it(
  'passes that need nobody else let others have their turn in between',
  { tags: 'attack-share' },
  async () => {
    vi.useRealTimers();
    let [nowMs, done] = [0, 0];
    const queue = createQueue({ clock: { ...systemClock, monotonicMs: () => nowMs } });
    for (let index = 0; index < 1_000; index += 1) {
      queue.add(`${index}`);
    }
    const seen = new Promise<number>((resolve) => {
      setImmediate(() => resolve(done));
    });
    queue.start(async () => {
      nowMs += 1;
      done += 1;
    });
    expect(await seen).toBeLessThan(20);
    while (queue.depth > 0) {
      await new Promise(setImmediate);
    }
    expect(done).toBe(1_000);
  },
);

it('does nothing while what waits may not begin', async () => {
  vi.useRealTimers();
  let looks = 0;
  const monotonicMs = (): number => (looks += 1);
  const findShare = () => ({ namespaces: ['shop'], host: 'slow.example' });
  const queue = started({ clock: { ...systemClock, monotonicMs }, findShare });
  queue.add('a');
  queue.add('b');
  await new Promise(setImmediate);
  const before = [queue.running, queue.depth, looks];
  for (let turn = 0; turn < 10; turn += 1) {
    await new Promise(setImmediate);
  }
  expect([queue.running, queue.depth, looks]).toEqual(before);
  expect(before.slice(0, 2)).toEqual([1, 1]);
  queue.shutDown();
});
