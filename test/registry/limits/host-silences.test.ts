import { beforeEach, describe, expect, it } from 'vitest';

import { HttpError } from '../../../src/registry/manifests/http-client.ts';
import { type HostSilences, createHostSilences } from '../../../src/registry/limits/host-silences.ts';

const HOST = 'silent.example:5000';
const ABOUT = {
  side: 'source',
  doing: 'looking up x',
  repository: 'app',
  signal: new AbortController().signal,
} as const;

let nowMs: number;
let silences: HostSilences;

beforeEach(() => {
  nowMs = 0;
  silences = createHostSilences({ nowMs: () => 1_000_000 + nowMs, monotonicMs: () => nowMs });
});

/** Asks a host that answers so much later. */
const answered = (host = HOST, afterMs = 0) =>
  silences.ask(host, ABOUT, async () => {
    nowMs += afterMs;
    return 'answer';
  });

interface Silence {
  readonly host?: string;
  readonly afterMs?: number;
  readonly kind?: HttpError['kind'];
  readonly repositories?: readonly string[];
}

/** Asks a host that gives no answer, for two repositories one after the other. */
async function unanswered({
  host = HOST,
  afterMs = 30_000,
  kind = 'timeout',
  repositories = ['app', 'other'],
}: Silence = {}): Promise<void> {
  for (const repository of repositories) {
    const asked = silences.ask(host, { ...ABOUT, repository }, async () => {
      nowMs += afterMs;
      throw new HttpError('no answer', kind);
    });
    await expect(asked).rejects.toThrow('no answer');
  }
}

const SILENT = { reason: 'Timeout', side: 'source', retryable: true };

it('asks a host that gave no answer again only after a pause, which doubles every time up to five minutes', async () => {
  for (const seconds of [10, 20, 40, 80, 160, 300, 300]) {
    await unanswered();
    const retryAtMs = 1_000_000 + nowMs + seconds * 1_000;
    await expect(answered()).rejects.toMatchObject({ ...SILENT, retryAtMs });
    nowMs += seconds * 1_000;
  }
  expect(await answered()).toBe('answer');
});

it('says the same as long as the host does not answer', async () => {
  await unanswered();
  const message = `looking up x: source registry ${HOST} gives no answer; it is asked again from time to time`;
  await expect(answered()).rejects.toThrow(message);
  nowMs += 5_000;
  await expect(answered()).rejects.toThrow(message);
});

it('begins anew once the host has answered', async () => {
  await unanswered();
  nowMs += 10_000;
  await answered();
  await unanswered();
  nowMs += 10_000;
  expect(await answered()).toBe('answer');
});

it('takes many questions at the same time for one', async () => {
  const failures: (() => void)[] = [];
  const asked = Array.from({ length: 8 }, () =>
    silences
      .ask(
        HOST,
        { ...ABOUT, repository: `app-${failures.length}` },
        () =>
          new Promise((_, reject) => {
            failures.push(() => reject(new HttpError('no answer', 'timeout')));
          }),
      )
      .catch(() => undefined),
  );
  nowMs = 30_000;
  for (const fail of failures) {
    fail();
  }
  await Promise.all(asked);
  nowMs += 10_000;
  expect(await answered()).toBe('answer');
});

it('does not wait for other hosts', async () => {
  await unanswered();
  expect(await answered('other.example')).toBe('answer');
});

describe('a host is not paused', () => {
  it('when nothing comes for one repository only', { tags: 'attack-share' }, async () => {
    await unanswered({ repositories: ['slow', 'slow', 'slow'] });
    expect(await answered()).toBe('answer');
  });

  it('when it refuses at once', async () => {
    await unanswered({ afterMs: 10, kind: 'unreachable' });
    expect(await answered()).toBe('answer');
  });

  it('when it has sent too much, late', async () => {
    await unanswered({ afterMs: 10_000, kind: 'tooLarge' });
    expect(await answered()).toBe('answer');
  });

  it('when the question was given up', async () => {
    const signal = AbortSignal.abort();
    const asked = silences.ask(HOST, { ...ABOUT, signal }, async () => {
      nowMs += 10_000;
      throw new HttpError('no answer', 'timeout');
    });
    await expect(asked).rejects.toThrow('no answer');
    expect(await answered()).toBe('answer');
  });

  it('when it answers others while it takes too long for one image', { tags: 'attack-share' }, async () => {
    const { promise, reject } = Promise.withResolvers<string>();
    const slow = silences.ask(HOST, ABOUT, () => promise);
    nowMs = 29_000;
    await answered();
    nowMs = 30_000;
    reject(new HttpError('no answer', 'timeout'));
    await expect(slow).rejects.toThrow('no answer');
    expect(await answered()).toBe('answer');
  });
});

it('remembers no more hosts than a thousand', { tags: 'attack-size' }, async () => {
  await unanswered({ afterMs: 1_000 });
  for (let host = 0; host < 999; host++) {
    await answered(`h${host}.example`);
  }
  await expect(answered()).rejects.toThrow('gives no answer');
  await answered('one-more.example');
  expect(await answered()).toBe('answer');
});
