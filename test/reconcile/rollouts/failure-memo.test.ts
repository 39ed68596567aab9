import { describe, expect, it } from 'vitest';

import { formatFailureMemo, parseFailureMemo } from '../../../src/reconcile/rollouts/failure-memo.ts';
import type { FailureHistory, SwapFailure } from '../../../src/reconcile/rollouts/swap-breaker.ts';
import { SwapBreaker } from '../../../src/reconcile/rollouts/swap-breaker.ts';

const NOTHING: FailureHistory = { failures: new Map(), succeededAtMs: 0 };
const HISTORY: FailureHistory = {
  failures: new Map<string, SwapFailure>([
    ['Deployment/shop/web', { namespace: 'shop', atMs: 1_700_000_000_001 }],
    ['DaemonSet/logs/agent', { namespace: 'logs', atMs: 1_700_000_000_002 }],
  ]),
  succeededAtMs: 1_699_999_999_999,
};

describe('what is left to the next leader', () => {
  it('is read as it was written', () => {
    expect(parseFailureMemo(formatFailureMemo(HISTORY))).toEqual(HISTORY);
  });

  it('is nothing when nothing has failed', () => {
    expect(formatFailureMemo({ ...NOTHING, succeededAtMs: 5 })).toBe('');
  });

  it.each([
    ['empty', ''],
    ['cut', '{"failures":{"Deployment/sh'],
    ['of another form', '[1,2]'],
    ['about no workloads', '{"failures":{"x":"2026-01-01T00:00:00Z","constructor":1}}'],
    ['of any length', `{"failures":${' '.repeat(100_000)}{}}`],
  ])('counts as nothing when it is %s', (_, text) => {
    expect(parseFailureMemo(text)).toEqual(NOTHING);
  });

  it('is bounded, the newest being kept', { tags: 'attack-size' }, () => {
    const breaker = new SwapBreaker();
    for (let index = 0; index < 1_000; index += 1) {
      const namespace = `${index}`.padStart(63, 'n');
      breaker.noteFailure(`DaemonSet/${namespace}/${'x'.repeat(253)}`, { namespace, atMs: index });
    }
    const text = formatFailureMemo(breaker.history);
    expect(parseFailureMemo(text)).toEqual(breaker.history);
    expect([...parseFailureMemo(text).failures.values()].map(({ atMs }) => atMs)).toEqual(
      Array.from({ length: 100 }, (_, index) => 900 + index),
    );
  });

  it('has the failures of every namespace, however many one of them has', { tags: 'attack-share' }, () => {
    const breaker = new SwapBreaker();
    for (const namespace of ['a', 'b', 'c']) {
      breaker.noteFailure(`Deployment/${namespace}/web`, { namespace, atMs: 1 });
    }
    for (let index = 0; index < 1_000; index += 1) {
      breaker.noteFailure(`Deployment/evil/${index}`, { namespace: 'evil', atMs: 2 + index });
    }
    expect(breaker.findStopEndMs(2_000)).toBe(1_001 + 3_600_000);
    const { failures } = parseFailureMemo(formatFailureMemo(breaker.history));
    expect([...failures.keys()]).toEqual([
      'Deployment/a/web',
      'Deployment/b/web',
      'Deployment/c/web',
      'Deployment/evil/997',
      'Deployment/evil/998',
      'Deployment/evil/999',
    ]);
  });
});
