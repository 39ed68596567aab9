import { parseWorkloadKey } from '../../workloads/kinds.ts';
import type { FailureHistory, SwapFailure } from './swap-breaker.ts';

/** 100 workloads with the longest names there are, rounded up. */
const LONGEST = 64 * 1_024;
const MOST = 100;

function formatTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

function parseTimeMs(value: unknown): number {
  return typeof value === 'string' ? Date.parse(value) || 0 : 0;
}

function parseObject(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : []);
}

/** What the next leader has to know, as a text that it is left with; empty when there is nothing to know. */
export function formatFailureMemo({ failures, succeededAtMs }: FailureHistory): string {
  if (failures.size === 0) {
    return '';
  }
  return JSON.stringify({
    succeededAt: formatTime(succeededAtMs),
    failures: Object.fromEntries([...failures].map(([key, { atMs }]) => [key, formatTime(atMs)])),
  });
}

function parseFailure([key, value]: readonly [string, unknown]): readonly (readonly [string, SwapFailure])[] {
  try {
    return [[key, { namespace: parseWorkloadKey(key).namespace, atMs: parseTimeMs(value) }]];
  } catch {
    return [];
  }
}

/** The same read; what is no such text counts as nothing. */
export function parseFailureMemo(text: string): FailureHistory {
  try {
    const memo = parseObject(text.length > LONGEST ? undefined : JSON.parse(text || '{}'));
    const entries = [...parseObject(memo.get('failures'))].slice(-MOST);
    return {
      failures: new Map(entries.flatMap(parseFailure)),
      succeededAtMs: parseTimeMs(memo.get('succeededAt')),
    };
  } catch {
    return { failures: new Map(), succeededAtMs: 0 };
  }
}
