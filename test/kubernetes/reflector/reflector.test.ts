import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { answerJson, answerStatus } from '../scripted-api-server.ts';
import {
  type OpenWatch,
  added,
  bookmark,
  deleted,
  endOfList,
  errorEvent,
  Harness,
  listOf,
  modified,
  send,
} from './reflector-harness.ts';
import { fakeTime, quiet, until } from '../support.ts';

/*
 * The server here is scripted, so these tests prove what the reflector does with an answer, not that an API server
 * gives it: bookmarks, compaction and permissions of the real one are up to the integration tests.
 */

const A1 = { name: 'a', version: '1' };
const B2 = { name: 'b', version: '2' };

let cluster: Harness;

beforeEach(async () => {
  fakeTime();
  cluster = await Harness.start();
});

afterEach(async () => {
  await cluster.stop();
  vi.useRealTimers();
});

describe('the list as a stream', () => {
  it('is complete with its last bookmark, and the same watch goes on', async () => {
    cluster.run();
    const watch = await cluster.watch(1);
    send(watch, added(A1), added(B2));
    await quiet();
    expect([cluster.reflector.hasSynced(), cluster.reflector.list()]).toEqual([false, []]);
    send(watch, endOfList('10'), modified({ ...A1, version: '11' }));
    await cluster.reflector.synced;
    await cluster.has('uid-a@11', 'uid-b@2');
    expect(cluster.reflector.hasSynced()).toBe(true);
    expect(cluster.reflector.get('shop/b')).toBe('uid-b@2');
    expect(cluster.changes).toEqual([
      'shop/a: - > uid-a@1',
      'shop/b: - > uid-b@2',
      'shop/a: uid-a@1 > uid-a@11',
    ]);
    expect(cluster.watches).toHaveLength(1);
  });

  it('asks for what makes it one, and for an end at a random time', async () => {
    cluster.run();
    const { query } = await cluster.watch(1);
    expect(query).toEqual({
      watch: 'true',
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: 'true',
      timeoutSeconds: '300',
    });
  });

  it('keeps what was deleted meanwhile out of the list', async () => {
    cluster.run();
    send(await cluster.watch(1), added(A1), added(B2), deleted({ ...B2, version: '9' }), endOfList('10'));
    await cluster.reflector.synced;
    expect(cluster.reflector.list()).toEqual(['uid-a@1']);
  });

  it.each([400, 422])('gives way to pages, and stays away, when refused with %i', async (status) => {
    cluster.onWatch = ({ query, response }) => {
      if (query['sendInitialEvents']) {
        answerStatus(response, status);
      } else {
        response.flushHeaders();
      }
    };
    cluster.onList = (_, response) => answerJson(response, listOf('50', [A1]));
    cluster.run();
    await cluster.reflector.synced;
    send(await cluster.watch(2), errorEvent(410));
    await until('second watch seen', () => cluster.restarts.length === 1);
    await vi.advanceTimersByTimeAsync(1_000);
    await until('second list', () => cluster.lists.length === 2);
    await cluster.watch(3);
    expect(cluster.watches.map(({ query }) => query['resourceVersion'])).toEqual([undefined, '50', '50']);
  });

  it('gives way to pages when its end does not come', async () => {
    cluster.run();
    send(await cluster.watch(1), added(A1), bookmark('5'));
    await quiet();
    await vi.advanceTimersByTimeAsync(29_000);
    send(await cluster.watch(1), added(B2));
    await quiet();
    await vi.advanceTimersByTimeAsync(29_000);
    expect(cluster.lists).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    await cluster.reflector.synced;
    expect(cluster.lists).toHaveLength(1);
  });

  it.each([
    ['ends', (response: { end(): void }) => response.end()],
    ['is cut', (response: { destroy(): void }) => response.destroy()],
  ])('gives way to pages this time when it %s before the list is complete', async (_, end) => {
    cluster.run();
    const { response } = await cluster.watch(1);
    end(response);
    await cluster.reflector.synced;
    send(await cluster.watch(2), errorEvent(410));
    await until('restart', () => cluster.restarts.length === 1);
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await cluster.watch(3)).query['sendInitialEvents']).toBe('true');
  });
});

describe('the list in pages', () => {
  it('goes on where the page before it ended, and watches from its version', async () => {
    cluster.onWatch = ({ response, query }) =>
      query['sendInitialEvents'] ? answerStatus(response, 422) : response.flushHeaders();
    cluster.onList = ({ query }, response) =>
      answerJson(response, query['continue'] ? listOf('50', [B2]) : listOf('50', [A1], 'more'));
    cluster.run();
    await cluster.reflector.synced;
    expect(cluster.reflector.list()).toEqual(['uid-a@1', 'uid-b@2']);
    expect(cluster.lists.map(({ query }) => query)).toEqual([
      { limit: '500' },
      { limit: '500', continue: 'more' },
    ]);
    expect((await cluster.watch(2)).query).toMatchObject({ resourceVersion: '50' });
  });

  it('begins anew when it expires between two pages', async () => {
    cluster.onWatch = ({ response, query }) =>
      query['sendInitialEvents'] ? answerStatus(response, 422) : response.flushHeaders();
    let expired = false;
    cluster.onList = ({ query }, response) => {
      if (query['continue'] && !expired) {
        expired = true;
        answerStatus(response, 410);
        return;
      }
      answerJson(response, query['continue'] ? listOf('60', [B2]) : listOf('60', [A1], 'more'));
    };
    cluster.run();
    await until('expired', () => cluster.restarts.length === 1);
    await vi.advanceTimersByTimeAsync(1_000);
    await cluster.reflector.synced;
    expect(cluster.reflector.list()).toEqual(['uid-a@1', 'uid-b@2']);
  });
});

describe('changes', () => {
  it('are applied in order, each told once', async () => {
    const watch = await cluster.sync([A1]);
    send(
      watch,
      added(B2),
      deleted({ ...A1, version: '12' }),
      modified({ ...B2, version: '13' }),
      added({ ...A1, version: '14' }),
    );
    await cluster.has('uid-b@13', 'uid-a@14');
    expect(cluster.changes.slice(1)).toEqual([
      'shop/b: - > uid-b@2',
      'shop/a: uid-a@1 > -',
      'shop/b: uid-b@2 > uid-b@13',
      'shop/a: - > uid-a@14',
    ]);
  });

  it('of an object that is not wanted any more are told as its end', async () => {
    const watch = await cluster.sync([A1]);
    send(watch, modified({ ...A1, version: '11', wanted: false }), added({ ...B2, wanted: false }));
    await cluster.has();
    expect(cluster.changes.at(-1)).toBe('shop/a: uid-a@1 > -');
  });

  it('tell an object apart from another one of the same name', async () => {
    const watch = await cluster.sync([A1]);
    send(watch, modified({ name: 'a', version: '20', uid: 'second' }));
    await cluster.has('second@20');
    expect(cluster.changes.slice(1)).toEqual(['shop/a: uid-a@1 > -', 'shop/a: - > second@20']);
  });

  it('without a name, or of a type that is not known, mean nothing', async () => {
    const watch = await cluster.sync([A1]);
    send(watch, { type: 'ADDED', object: {} }, { type: 'ADDED' }, { type: 'NEWER' }, [1], added(B2));
    await cluster.has('uid-a@1', 'uid-b@2');
  });

  it('still come in after a handler has failed', async () => {
    const broken = cluster.changes.push;
    cluster.changes.push = () => {
      throw new Error('broken handler');
    };
    const watch = await cluster.sync([A1]);
    cluster.changes.push = broken;
    send(watch, added(B2));
    await cluster.has('uid-a@1', 'uid-b@2');
    expect(cluster.log.lines).toContainEqual(
      expect.objectContaining({ level: 'error', message: 'change handler failed' }),
    );
  });
});

describe('a watch that ends', () => {
  it('goes on at once from the last version, which bookmarks advance, without a list', async () => {
    const watch = await cluster.sync([A1]);
    send(watch, modified({ ...A1, version: '11' }), bookmark('40'));
    watch.response.end();
    const { query } = await cluster.watch(2);
    expect(query).toMatchObject({
      resourceVersion: '40',
      allowWatchBookmarks: 'true',
      timeoutSeconds: '300',
    });
    expect([cluster.lists, cluster.restarts]).toEqual([[], []]);
  });

  it('by a cut connection goes on from the last whole event', async () => {
    const watch = await cluster.sync([A1]);
    send(watch, modified({ ...A1, version: '11' }));
    watch.response.write('{"type":"MODIFIED","obj');
    await cluster.has('uid-a@11');
    watch.response.destroy();
    expect((await cluster.watch(2)).query).toMatchObject({ resourceVersion: '11' });
  });

  it('by silence goes on from the last version', async () => {
    await cluster.sync([A1]);
    await quiet();
    await vi.advanceTimersByTimeAsync(150_000);
    expect((await cluster.watch(2)).query).toMatchObject({ resourceVersion: '10' });
  });

  it('at once and without an event is a failure, followed by a new list after a pause', async () => {
    const watch = await cluster.sync([A1]);
    watch.response.end();
    (await cluster.watch(2)).response.end();
    await until('restart', () => cluster.restarts.length === 1);
    await vi.advanceTimersByTimeAsync(799);
    expect(cluster.watches).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect((await cluster.watch(3)).query['sendInitialEvents']).toBe('true');
  });

  it.each([
    ['an expired version', (watch: Parameters<typeof send>[0]) => send(watch, errorEvent(410, 'Expired'))],
    [
      'a failure of the server',
      (watch: Parameters<typeof send>[0]) => send(watch, errorEvent(500, 'InternalError')),
    ],
    ['a line that is not JSON', (watch: Parameters<typeof send>[0]) => watch.response.write('garbage\n')],
  ])('by %s is followed by a new list, in which deleted objects are missing', async (_, end) => {
    end(await cluster.sync([A1, B2]));
    await until('restart', () => cluster.restarts.length === 1);
    await vi.advanceTimersByTimeAsync(800);
    const second = await cluster.watch(2);
    send(second, added({ ...B2, uid: 'second', version: '30' }), endOfList('31'));
    await cluster.has('second@30');
    expect(cluster.changes.slice(2)).toEqual([
      'shop/a: uid-a@1 > -',
      'shop/b: uid-b@2 > -',
      'shop/b: - > second@30',
    ]);
  });

  it('and a list that shows nothing new tell nobody', async () => {
    send(await cluster.sync([A1, B2]), errorEvent(410));
    await until('restart', () => cluster.restarts.length === 1);
    await vi.advanceTimersByTimeAsync(800);
    send(await cluster.watch(2), added(A1), added(B2), endOfList('31'), added({ name: 'c', version: '32' }));
    await cluster.has('uid-a@1', 'uid-b@2', 'uid-c@32');
    expect(cluster.changes.slice(2)).toEqual(['shop/c: - > uid-c@32']);
  });
});

describe('a watch that is not opened', () => {
  async function endFirstWatch(answer: (watch: Parameters<typeof send>[0]) => void): Promise<void> {
    const watch = await cluster.sync([A1]);
    cluster.onWatch = (next) => {
      cluster.onWatch = undefined;
      answer(next);
    };
    send(watch, bookmark('20'));
    watch.response.end();
    await until('restart', () => cluster.restarts.length === 1);
  }

  it.each([
    ['because the server is busy', (watch: Parameters<typeof send>[0]) => answerStatus(watch.response, 429)],
    [
      'because there is no connection',
      (watch: Parameters<typeof send>[0]) => watch.response.socket?.destroy(),
    ],
  ])('%s is tried again after a pause, without a list', async (_, answer) => {
    await endFirstWatch(answer);
    await vi.advanceTimersByTimeAsync(800);
    const { query } = await cluster.watch(3);
    expect(query).toMatchObject({ resourceVersion: '20' });
    expect(query['sendInitialEvents']).toBeUndefined();
  });

  it('waits as long as the server wants', async () => {
    cluster.onWatch = ({ response }) => answerStatus(response, 429, { retryAfter: 3 });
    cluster.run();
    await cluster.watch(1);
    cluster.onWatch = undefined;
    await quiet();
    await vi.advanceTimersByTimeAsync(2_999);
    await quiet();
    expect(cluster.watches).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    await cluster.watch(2);
  });

  it.each([410, 500])('because of %i is followed by a new list', async (status) => {
    await endFirstWatch(({ response }) => answerStatus(response, status));
    await vi.advanceTimersByTimeAsync(800);
    expect((await cluster.watch(3)).query['sendInitialEvents']).toBe('true');
  });
});

describe('a resource that cannot be read', () => {
  it.each([
    [403, /grant get, list and watch/u],
    [404, /not served/u],
  ])('because of %i is said once, tried ever more rarely, and found again', async (status, message) => {
    cluster.onWatch = ({ response }) => answerStatus(response, status, { reason: 'Refused' });
    cluster.run();
    let attempts = 0;
    for (const pauseMs of [800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]) {
      attempts += 1;
      await until('tried', () => cluster.restarts.length === attempts);
      await vi.advanceTimersByTimeAsync(pauseMs - 1);
      await quiet();
      expect(cluster.watches).toHaveLength(attempts);
      if (attempts === 8) {
        cluster.onWatch = undefined;
      }
      await vi.advanceTimersByTimeAsync(1);
    }
    send(await cluster.watch(9), added(A1), endOfList('10'));
    await cluster.reflector.synced;
    expect(cluster.log.lines).toContainEqual(
      expect.objectContaining({ level: 'info', message: 'resource can be read again' }),
    );
    expect(cluster.log.lines.filter(({ level }) => level === 'warn')).toEqual([
      expect.objectContaining({ message: expect.stringMatching(message) as string }),
    ]);
  });
});

describe('health', () => {
  it('knows how long nothing has happened', async () => {
    const watch = await cluster.sync([A1]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(cluster.reflector.lastActivityAgeMs()).toBe(60_000);
    send(watch, bookmark('12'));
    await until('activity', () => cluster.reflector.lastActivityAgeMs() === 0);
  });

  it('ends when told to, in the middle of anything', async () => {
    cluster.onWatch = ({ response }) => answerStatus(response, 500);
    cluster.onList = (_, response) => answerStatus(response, 500);
    cluster.run();
    await until('resting', () => cluster.restarts.length === 1);
    await cluster.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});

it('sees a single named object', async () => {
  const single = await Harness.start({ query: { fieldSelector: 'metadata.name=a' } });
  const watch = await single.sync([A1]);
  expect(watch.query).toMatchObject({ fieldSelector: 'metadata.name=a', sendInitialEvents: 'true' });
  send(watch, deleted({ ...A1, version: '11' }));
  await single.has();
  await single.stop();
});

describe('what a namespace had no room for', () => {
  /** Room for two. */
  const SHARE = { weigh: (text: string) => text.length, mostBytes: 16, reduce: () => '!' };
  const C3 = { name: 'c', version: '3' };
  let crowded: Harness;
  let watch: OpenWatch;

  beforeEach(async () => {
    crowded = await Harness.start({ share: SHARE });
    watch = await crowded.sync([A1, B2, C3]);
    await crowded.has('uid-a@1', 'uid-b@2', '!');
  });

  afterEach(() => crowded.stop());

  async function passMinutes(minutes: number): Promise<void> {
    for (let n = 0; n < minutes; n += 1) {
      await vi.advanceTimersByTimeAsync(60_000);
      send(watch, bookmark('12'));
      await until('activity', () => crowded.reflector.lastActivityAgeMs() === 0);
      await quiet();
    }
  }

  it('is read again once there is room, though it has not changed', { tags: 'attack-size' }, async () => {
    send(watch, deleted({ ...A1, version: '11' }));
    await crowded.has('uid-b@2', '!');
    await passMinutes(10);
    const next = await crowded.watch(2);
    expect(next.query).toMatchObject({ sendInitialEvents: 'true' });
    send(next, added(B2), added(C3), endOfList('12'));
    await crowded.has('uid-b@2', 'uid-c@3');
    expect(crowded.changes.at(-1)).toBe('shop/c: ! > uid-c@3');
    watch = next;
    await passMinutes(20);
    expect(crowded.watches).toHaveLength(2);
  });

  it('does not have the list read again and again', { tags: 'attack-size' }, async () => {
    send(watch, deleted({ ...A1, version: '11' }), added(A1), deleted({ ...A1, version: '11' }));
    await passMinutes(9);
    expect(crowded.watches).toHaveLength(1);
  });

  it('does not have it read while there is no room', { tags: 'attack-size' }, async () => {
    send(watch, deleted({ ...C3, version: '11' }));
    await passMinutes(20);
    expect(crowded.watches).toHaveLength(1);
  });
});
