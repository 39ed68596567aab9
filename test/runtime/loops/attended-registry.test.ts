import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { systemClock } from '../../../src/clock.ts';
import { RegistryError } from '../../../src/errors.ts';
import { parseReference, withDigest } from '../../../src/images/reference.ts';
import type { CopyAmounts, CopyJob, ImageRegistry } from '../../../src/reconcile/ports.ts';
import { attendRegistry, type AttendedRegistry } from '../../../src/runtime/loops/attended-registry.ts';
import { DIGEST } from '../../support/builders.ts';
import { MemoryRegistry, NOTHING_COPIED } from '../../support/memory-registry.ts';

const MINUTE_MS = 60_000;
const COPY_TIMEOUT_MS = 15 * MINUTE_MS;
const PASSES = 3;
const SOURCE = withDigest(parseReference('a.io/x:1'), DIGEST);
const JOB: CopyJob = { source: SOURCE, copy: parseReference('b.io/x:1') };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function attend(registry: Partial<ImageRegistry>): AttendedRegistry {
  const whole: ImageRegistry = new MemoryRegistry({});
  return attendRegistry({
    registry: {
      fetchDigest: (...ask) => whole.fetchDigest(...ask),
      copy: (...ask) => whole.copy(...ask),
      findMissingPart: (...ask) => whole.findMissingPart(...ask),
      findAbsentParts: (...ask) => whole.findAbsentParts(...ask),
      listParts: (...ask) => whole.listParts(...ask),
      tag: (...ask) => whole.tag(...ask),
      isPrivate: (...ask) => whole.isPrivate(...ask),
      ...registry,
    },
    clock: systemClock,
    copyTimeoutMs: () => COPY_TIMEOUT_MS,
    passes: () => PASSES,
  });
}

/** A promise, and what settles it. */
function createWork<Result>(): PromiseWithResolvers<Result> {
  return Promise.withResolvers<Result>();
}

const { signal } = new AbortController();
/** Ends with nobody: neither a deadline nor a signal. */
const deaf = (): Promise<never> => createWork<never>().promise;

it('is never overdue while copies take all the time that they may, one after the other', async () => {
  const done = createWork<CopyAmounts>();
  let start: (() => void) | undefined;
  const registry = attend({
    copy(job) {
      start = job.onTurn;
      return done.promise;
    },
  });
  const copying = registry.copy(JOB, signal);
  await vi.advanceTimersByTimeAsync((PASSES - 1) * COPY_TIMEOUT_MS);
  start?.();
  await vi.advanceTimersByTimeAsync(COPY_TIMEOUT_MS);
  expect(registry.longestOverdueMs()).toBe(0);
  done.resolve(NOTHING_COPIED);
  await copying;
  expect(vi.getTimerCount()).toBe(0);
});

it.each<[string, (registry: AttendedRegistry) => Promise<unknown>]>([
  ['fetchDigest', (registry) => registry.fetchDigest(SOURCE, 'source', signal)],
  ['copy', (registry) => registry.copy(JOB, signal)],
  ['findMissingPart', (registry) => registry.findMissingPart(SOURCE, 'all', signal)],
  ['listParts', (registry) => registry.listParts(SOURCE, 'source', signal)],
  ['tag', (registry) => registry.tag(SOURCE, '1', signal)],
  ['isPrivate', (registry) => registry.isPrivate(SOURCE, 'source', signal)],
])('leaves a %s behind that does not end, and tells', { tags: 'attack-registry' }, async (name, call) => {
  const registry = attend({
    [name]: (job: CopyJob) => {
      job.onTurn?.();
      return deaf();
    },
  });
  const error = call(registry).catch((caught: unknown) => caught);
  await vi.advanceTimersByTimeAsync(COPY_TIMEOUT_MS + 6 * MINUTE_MS);
  expect(await error).toMatchObject({ reason: 'Timeout', retryable: true });
  await vi.advanceTimersByTimeAsync(10 * MINUTE_MS);
  expect(registry.longestOverdueMs()).toBe(11 * MINUTE_MS);
});

it('ends a call that listens, and has nothing to tell', async () => {
  const registry = attend({
    fetchDigest: (_, __, own) =>
      new Promise((_resolve, reject) => {
        own.addEventListener('abort', () => reject(own.reason as Error));
      }),
  });
  const error = registry.fetchDigest(SOURCE, 'source', signal).catch((caught: unknown) => caught);
  await vi.advanceTimersByTimeAsync(COPY_TIMEOUT_MS + 5 * MINUTE_MS);
  expect(await error).toBeInstanceOf(RegistryError);
  expect(registry.longestOverdueMs()).toBe(0);
});

it('lets a call end by itself when the queue ends, with what it says', async () => {
  const work = createWork<string | undefined>();
  const stop = new AbortController();
  const registry = attend({ fetchDigest: () => work.promise });
  const asking = registry.fetchDigest(SOURCE, 'source', stop.signal);
  stop.abort(new Error('lease lost'));
  work.reject(new Error('engine ended'));
  await expect(asking).rejects.toThrow('engine ended');
});
