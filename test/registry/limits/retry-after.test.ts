import { expect, it } from 'vitest';

import { parseRetryAfterMs } from '../../../src/registry/limits/retry-after.ts';

const NOW_MS = Date.parse('2026-11-23T07:00:00Z');

it.each([
  ['30', 30_000],
  [' 0 ', 0],
  ['Mon, 23 Nov 2026 07:01:00 GMT', 60_000],
  ['Mon, 23 Nov 2026 06:00:00 GMT', 0],
  ['999999999999', 24 * 60 * 60_000],
  [undefined, 60_000],
  ['', 60_000],
  ['-5', 60_000],
  ['soon', 60_000],
  ['2027', 2_027_000],
])('reads %j as %d ms from now', (header, waitMs) => {
  expect(parseRetryAfterMs(header, NOW_MS)).toBe(NOW_MS + waitMs);
});
