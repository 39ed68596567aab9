import { beforeEach, expect, it } from 'vitest';

import {
  createHostAllowances,
  type HostAllowances,
  parseAllowance,
} from '../../../src/registry/limits/host-allowances.ts';

const HOUR_MS = 3_600_000;
const HUB = 'registry-1.docker.io';

let nowMs: number;
let allowances: HostAllowances;
beforeEach(() => {
  nowMs = 0;
  allowances = createHostAllowances({ nowMs: () => nowMs, monotonicMs: () => nowMs });
});

it.each([
  ['76;w=21600', '100;w=21600', { remaining: 76, limit: 100, windowMs: 6 * HOUR_MS }],
  ['76;w=21600', undefined, { remaining: 76, limit: undefined, windowMs: 6 * HOUR_MS }],
  ['0;w=999999999', '100', { remaining: 0, limit: 100, windowMs: 24 * HOUR_MS }],
  ['76', '100', undefined],
  ['many;w=21600', '100', undefined],
  [undefined, undefined, undefined],
])('reads %s of %s', (remaining, limit, expected) => {
  const headers: Readonly<Record<string, string | undefined>> = {
    'ratelimit-remaining': remaining,
    'ratelimit-limit': limit,
  };
  expect(parseAllowance((name) => headers[name])).toEqual(expected);
});

it('keeps a fifth of the limit for the nodes, and looks again after a tenth of the window', () => {
  const check = (): void => allowances.check(HUB, 'copying x');
  allowances.note(HUB, { remaining: 21, limit: 100, windowMs: 6 * HOUR_MS });
  expect(check).not.toThrow();
  allowances.note(HUB, { remaining: 20, limit: 100, windowMs: 6 * HOUR_MS });
  expect(check).toThrow(
    'copying x: source registry registry-1.docker.io allows only 20 of 100 more downloads, which are left to the ' +
      'nodes; it is asked again at 1970-01-01T00:36:00.000Z',
  );
  expect(check).toThrow(expect.objectContaining({ reason: 'RateLimited', retryAtMs: 0.6 * HOUR_MS }));
  expect(allowances.isOutdated(HUB)).toBe(false);
  nowMs = 0.6 * HOUR_MS;
  expect(check).not.toThrow();
  expect(allowances.isOutdated(HUB)).toBe(true);
});

it('tells what is left of the hosts that have told within their window', () => {
  allowances.note(HUB, { remaining: 76, limit: 100, windowMs: 6 * HOUR_MS });
  allowances.note('a.io', { remaining: 5, limit: undefined, windowMs: HOUR_MS });
  nowMs = HOUR_MS;
  expect(allowances.list()).toEqual([{ host: HUB, remaining: 76 }]);
});

it('remembers a limited number of hosts', { tags: 'attack-size' }, () => {
  for (let index = 0; index < 200; index += 1) {
    allowances.note(`h${index}.io`, { remaining: 1, limit: 100, windowMs: HOUR_MS });
  }
  expect(allowances.list()).toHaveLength(50);
});

it('has plenty where a registry has not told that it counts, or very many downloads are left', () => {
  expect(allowances.isPlenty(HUB)).toBe(false);
  allowances.noteUncounted(HUB);
  expect(allowances.isPlenty(HUB)).toBe(true);
  allowances.note(HUB, { remaining: 200, limit: 200, windowMs: 6 * HOUR_MS });
  expect(allowances.isPlenty(HUB)).toBe(false);
  // It leaves out what it counts for images of some publishers, and for those who pay.
  allowances.noteUncounted(HUB);
  expect(allowances.isPlenty(HUB)).toBe(false);
  allowances.note(HUB, { remaining: 1_000, limit: 5_000, windowMs: 6 * HOUR_MS });
  expect(allowances.isPlenty(HUB)).toBe(true);
});
