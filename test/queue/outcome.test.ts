import { describe, expect, it } from 'vitest';

import {
  ApiError,
  ConflictError,
  InvalidImageError,
  RegistryError,
  UsageError,
  WriteDeniedError,
} from '../../src/errors.ts';
import { judgeError, judgeResult } from '../../src/queue/outcome.ts';

const NOW = { nowMs: 1_000_000, stopping: false };

describe('a pass that ends well', () => {
  it.each([
    [undefined, { result: 'success' }],
    [{}, { result: 'success' }],
    [{ requeueAfterMs: 30_000 }, { result: 'look_again', afterMs: 30_000 }],
    [{ requeueAfterMs: -5 }, { result: 'look_again', afterMs: 0 }],
  ])('with %j', (result, outcome) => {
    expect(judgeResult(result)).toEqual(outcome);
  });
});

describe('a pass that fails', () => {
  const registry = (reason: 'NotFound' | 'RateLimited' | 'Timeout', retryAtMs?: number) =>
    new RegistryError('x', { reason, side: 'source', ...(retryAtMs === undefined ? {} : { retryAtMs }) });
  it.each([
    ['a conflict', new ConflictError('x'), { result: 'conflict' }],
    ['something that passes', registry('Timeout'), { result: 'retry', notBeforeMs: 0 }],
    [
      'a registry that names a time',
      registry('RateLimited', 1_060_000),
      { result: 'retry', notBeforeMs: 60_000 },
    ],
    ['a registry whose time has come', registry('RateLimited', 900_000), { result: 'retry', notBeforeMs: 0 }],
    [
      'an API server that names a time',
      new ApiError('x', { status: 429, reason: 'TooManyRequests', retryAfterMs: 5_000 }),
      { result: 'retry', notBeforeMs: 5_000 },
    ],
    [
      'no connection',
      new ApiError('x', { status: 0, reason: 'Unreachable' }),
      { result: 'retry', notBeforeMs: 0 },
    ],
    ['a missing image', registry('NotFound'), { result: 'gave_up' }],
    ['an image text that is none', new InvalidImageError('x'), { result: 'gave_up' }],
    ['a refused write', new WriteDeniedError('x'), { result: 'gave_up' }],
    ['a wrong setting', new UsageError('x'), { result: 'gave_up' }],
    ['a mistake of ours', new TypeError('x is not a function'), { result: 'bug', notBeforeMs: 0 }],
    ['something thrown that is no error', 'text', { result: 'bug', notBeforeMs: 0 }],
  ])('with %s', (_, error, outcome) => {
    expect(judgeError(error, NOW)).toEqual(outcome);
  });

  it('because the queue ended it is not a failure', () => {
    expect(judgeError(new Error('aborted'), { ...NOW, stopping: true })).toEqual({ result: 'stopped' });
  });
});
