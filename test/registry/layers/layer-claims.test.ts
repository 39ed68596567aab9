import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { systemClock } from '../../../src/clock.ts';
import { type CopyClaims, LayerClaims } from '../../../src/registry/layers/layer-claims.ts';

const MIB = 1024 * 1024;
const LAYER = { digest: `sha256:${'1'.repeat(64)}`, sizeBytes: 10 * MIB };
const OTHER = { digest: `sha256:${'2'.repeat(64)}`, sizeBytes: 10 * MIB };
const ROUTE = 'https://a.io https://b.io';
const { signal } = new AbortController();

let claims: LayerClaims;
beforeEach(() => {
  vi.useFakeTimers();
  claims = new LayerClaims(systemClock);
});
afterEach(() => void vi.useRealTimers());

function open(name: string, namespace = 'ours', route = ROUTE): CopyClaims {
  return claims.open({ route, namespace }, `backup/${name}`);
}

/** A copy that brings the layer. */
function openFirst(namespace?: string): CopyClaims {
  const first = open('first', namespace);
  expect(first.claim([LAYER])).toEqual([]);
  return first;
}

/** For how many seconds a copy waits in vain that wants the same layer. */
async function measureWait(waiting: CopyClaims): Promise<number> {
  const startedAtMs = systemClock.monotonicMs();
  expect(waiting.claim([LAYER])).toEqual([LAYER]);
  const ended = waiting.waitFor(LAYER, signal).then((place) => {
    expect(place).toBeUndefined();
    return (systemClock.monotonicMs() - startedAtMs) / 1_000;
  });
  await vi.advanceTimersByTimeAsync(600_000);
  return ended;
}

describe('a large layer', () => {
  it('is brought by the first copy that wants it, and waited for by others', async () => {
    const first = openFirst();
    const waiting = [open('second'), open('third')];
    const places = waiting.map((copy) => {
      expect(copy.claim([LAYER])).toEqual([LAYER]);
      return copy.waitFor(LAYER, signal);
    });
    first.note(LAYER.digest, 'begun');
    first.note(LAYER.digest, 'done');
    expect(await Promise.all(places)).toMatchObject([
      { repository: 'backup/first' },
      { repository: 'backup/first' },
    ]);
  });

  it('is where it was brought to when that copy has ended at the same moment', async () => {
    const first = openFirst();
    const second = open('second');
    second.claim([LAYER]);
    const place = second.waitFor(LAYER, signal);
    first.note(LAYER.digest, 'done');
    first.close();
    expect(await place).toMatchObject({ repository: 'backup/first' });
  });

  it('is not waited for from another source, or to another backup', { tags: 'attack-registry' }, () => {
    openFirst();
    expect(open('x', 'ours', 'https://evil.io https://b.io').claim([LAYER])).toEqual([]);
    expect(open('x', 'ours', 'https://a.io https://c.io').claim([LAYER])).toEqual([]);
  });

  it('is not waited for when it is small', () => {
    const small = { ...LAYER, sizeBytes: 2 * MIB - 1 };
    open('first').claim([small]);
    expect(open('second').claim([small])).toEqual([]);
  });

  it('is not waited for by a copy that came before', () => {
    const first = open('first');
    const second = open('second');
    second.claim([LAYER, OTHER]);
    expect(first.claim([LAYER])).toEqual([]);
  });

  it('is brought by who waited, when the copy ends that was to bring it; others wait for that one', async () => {
    const first = openFirst();
    const [second, third] = [open('second'), open('third')];
    second.claim([LAYER]);
    third.claim([LAYER]);
    const places = [second, third].map((copy) => copy.waitFor(LAYER, signal));
    first.close();
    expect(await places[0]).toBeUndefined();
    second.note(LAYER.digest, 'done');
    expect(await places[1]).toMatchObject({ repository: 'backup/second' });
  });

  it('is no longer waited for once the signal is aborted', async () => {
    openFirst();
    const second = open('second');
    second.claim([LAYER]);
    const stop = new AbortController();
    const place = second.waitFor(LAYER, stop.signal);
    stop.abort(new Error('lease lost'));
    await expect(place).rejects.toThrow('lease lost');
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a copy that does not get on', { tags: 'attack-registry' }, () => {
  it('is waited for no longer than 15 s when it does not begin', async () => {
    openFirst();
    expect(await measureWait(open('second'))).toBe(15);
  });

  it('is waited for as long as it gets on with other layers, up to a minute', async () => {
    const first = openFirst();
    first.claim([OTHER]);
    const life = setInterval(() => first.note(OTHER.digest, 'begun'), 10_000);
    expect(await measureWait(open('second'))).toBe(60);
    clearInterval(life);
  });

  it('is waited for no longer than a layer takes at 512 kB/s, when it has begun', async () => {
    openFirst().note(LAYER.digest, 'begun');
    expect(await measureWait(open('second'))).toBeCloseTo(5 + (10 * MIB) / 512_000, 0);
  });

  it('is waited for once, and not by whoever comes after that', async () => {
    openFirst('theirs');
    const second = open('second');
    expect(await measureWait(second)).toBe(15);
    const third = open('third');
    expect(third.claim([LAYER])).toEqual([LAYER]);
    second.note(LAYER.digest, 'done');
    expect(await third.waitFor(LAYER, signal)).toMatchObject({ repository: 'backup/second' });
  });

  it('makes others not wait for copies of its namespace, for ten minutes', async () => {
    openFirst('theirs');
    const waiting = open('second');
    waiting.claim([LAYER]);
    const ended = waiting.waitFor(LAYER, signal);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await ended).toBeUndefined();
    open('third', 'theirs').claim([OTHER]);
    expect(open('fourth', 'theirs').claim([OTHER])).toEqual([OTHER]);
    expect(open('fifth').claim([OTHER])).toEqual([]);
    await vi.advanceTimersByTimeAsync(600_000);
    open('sixth', 'theirs').claim([{ ...OTHER, digest: `sha256:${'3'.repeat(64)}` }]);
    expect(open('seventh').claim([{ ...OTHER, digest: `sha256:${'3'.repeat(64)}` }])).toHaveLength(1);
  });
});

it('a copy that waits itself is waited for, and trusted afterwards', async () => {
  const base = openFirst('base');
  const second = open('second', 'second');
  expect(second.claim([LAYER, OTHER])).toEqual([LAYER]);
  const third = open('third', 'third');
  expect(third.claim([OTHER])).toEqual([OTHER]);
  base.note(LAYER.digest, 'begun');
  const waits = [second.waitFor(LAYER, signal), third.waitFor(OTHER, signal)];
  await vi.advanceTimersByTimeAsync(20_000);
  base.note(LAYER.digest, 'done');
  expect(await waits[0]).toMatchObject({ repository: 'backup/first' });
  await vi.advanceTimersByTimeAsync(10_000);
  second.note(OTHER.digest, 'done');
  expect(await waits[1]).toMatchObject({ repository: 'backup/second' });
});

it('never waits in a circle, whatever copies want of each other', async () => {
  const digests = ['1', '2', '3', '4'].map((name) => ({ ...LAYER, digest: `sha256:${name.repeat(64)}` }));
  const copies = Array.from({ length: 4 }, (_, index) => open(`copy-${index}`));
  const ended = copies.map(async (copy, index) => {
    const wanted = [...digests.slice(index), ...digests.slice(0, index)];
    await Promise.all(copy.claim(wanted).map((layer) => copy.waitFor(layer, signal)));
    for (const { digest } of wanted) {
      copy.note(digest, 'done');
    }
    copy.close();
  });
  const startedAtMs = systemClock.monotonicMs();
  await Promise.all(ended);
  expect(systemClock.monotonicMs()).toBe(startedAtMs);
});
