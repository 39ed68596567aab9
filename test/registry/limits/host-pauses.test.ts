import { expect, it } from 'vitest';

import { createHostPauses } from '../../../src/registry/limits/host-pauses.ts';

let nowMs = 0;
const clock = { nowMs: () => nowMs, monotonicMs: () => 0 };

it('lets nobody ask a host before its time, and everybody afterwards', () => {
  const pauses = createHostPauses(clock);
  pauses.remember('docker.io', 30_000);
  nowMs = 29_500;
  const ask = (host: string) => (): void => pauses.check(host, 'source', 'looking up x');
  expect(ask('docker.io')).toThrow(
    'looking up x: source registry docker.io asked to be left alone until 1970-01-01T00:00:30.000Z',
  );
  expect(ask('registry-1.docker.io')).toThrow(
    expect.objectContaining({ reason: 'RateLimited', retryAtMs: 30_000 }),
  );
  expect(ask('b.io')).not.toThrow();
  nowMs = 30_000;
  expect(ask('docker.io')).not.toThrow();
});

it('keeps the longest pause it was told', () => {
  nowMs = 0;
  const pauses = createHostPauses(clock);
  pauses.remember('b.io', 60_000);
  pauses.remember('b.io', 10_000);
  nowMs = 20_000;
  expect(() => pauses.check('b.io', 'backup', 'x')).toThrow('left alone');
});

it('remembers no more hosts than a thousand', { tags: 'attack-size' }, () => {
  nowMs = 0;
  const pauses = createHostPauses(clock);
  const ask = () => pauses.check('first.example', 'source', 'x');
  pauses.remember('first.example', 60_000);
  for (let host = 0; host < 999; host++) {
    pauses.remember(`h${host}.example`, 60_000);
  }
  expect(ask).toThrow('left alone');
  pauses.remember('one-more.example', 60_000);
  expect(ask).not.toThrow();
});
