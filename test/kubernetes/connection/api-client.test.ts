import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { ApiRequest, Connection } from '../../../src/kubernetes/connection/api-client.ts';
import { ApiError } from '../../../src/errors.ts';
import { NotLeaderError } from '../../../src/kubernetes/election/leader-election.ts';
import {
  type ScriptedApiServer,
  answerBusy,
  answerJson,
  answerStatus,
  connectForTest,
  startApiServer,
} from '../scripted-api-server.ts';
import { fakeTime, quiet, until } from '../support.ts';

const PATH = '/apis/apps/v1/namespaces/shop/deployments/web';
const GET: ApiRequest = { method: 'GET', path: PATH };

let server: ScriptedApiServer;
let connection: Connection;

beforeEach(async () => {
  fakeTime();
  server = await startApiServer((_, response) => answerJson(response, {}));
  connection = connectForTest(server.url);
});

afterEach(async () => {
  vi.useRealTimers();
  connection.close();
  await server.close();
});

async function failureOf(work: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await work.then(
    () => new Error('did not fail'),
    (caught: unknown) => caught,
  );
  if (error instanceof ApiError) {
    return error;
  }
  throw error;
}

describe('request', () => {
  it('sends JSON with our name and identity and returns the parsed answer', async () => {
    server.answer = (_, response) => answerJson(response, { kind: 'Deployment' });
    const answer = await connection.request({
      method: 'PATCH',
      path: PATH,
      query: { fieldManager: 'us & them', dryRun: undefined },
      body: { é: 1 },
      contentType: 'application/merge-patch+json',
    });
    expect(answer).toEqual({ kind: 'Deployment' });
    expect(server.requests[0]).toMatchObject({
      method: 'PATCH',
      path: PATH,
      query: { fieldManager: 'us & them' },
      body: { é: 1 },
      headers: {
        'user-agent': 'test/1',
        accept: 'application/json',
        authorization: 'Bearer t',
        'content-type': 'application/merge-patch+json',
      },
    });
  });

  it('keeps the path of the server, as behind a proxy for many clusters', async () => {
    const proxied = connectForTest(new URL('/k8s/clusters/c1/', server.url));
    await proxied.request(GET);
    proxied.close();
    expect(server.requests[0]?.path).toBe(`/k8s/clusters/c1${PATH}`);
  });

  it('uses one connection for one request after the other', async () => {
    for (let count = 0; count < 5; count++) {
      await connection.request(GET);
    }
    expect(server.sockets).toHaveLength(1);
  });

  it('says what failed, on which object, and what was answered', async () => {
    server.answer = (_, response) =>
      answerStatus(response, 404, { reason: 'NotFound', message: 'no such thing' });
    const error = await failureOf(connection.request(GET));
    expect(error).toMatchObject({ status: 404, reason: 'NotFound', retryable: false });
    expect(error.message).toBe('GET deployments shop/web: 404 NotFound: no such thing');
  });

  it('keeps hostile answers short and on one line', { tags: 'attack-text' }, async () => {
    server.answer = (_, response) =>
      answerStatus(response, 500, { reason: 'A\nB', message: `\u001b[31m\n${'x'.repeat(5_000)}` });
    const error = await failureOf(connection.request(GET));
    expect(error.reason).toBe('AB');
    expect(error.message).not.toMatch(/\p{Cc}/u);
    expect(error.message.length).toBeLessThan(1_200);
  });

  it('copes with a proxy in between that does not speak JSON', async () => {
    server.answer = (_, response) => response.writeHead(502).end('<html>Bad\nGateway</html>');
    const error = await failureOf(connection.request(GET));
    expect(error).toMatchObject({ status: 502, reason: 'Http502', retryable: true });
    expect(error.message).toContain('<html>Bad Gateway</html>');
  });

  it('fails when a success is not JSON', async () => {
    server.answer = (_, response) => response.end('<html>');
    expect(await failureOf(connection.request(GET))).toMatchObject({ status: 0, reason: 'Undecodable' });
  });

  it('renews its credentials once after a 401', async () => {
    const renewing = connectForTest(server.url, {
      readCredentials: (renew) => ({
        headers: { authorization: renew ? 'Bearer new' : 'Bearer old' },
        tls: {},
      }),
    });
    server.answer = ({ headers }, response) =>
      headers.authorization === 'Bearer new'
        ? answerJson(response, { fine: true })
        : answerStatus(response, 401);
    await expect(renewing.request(GET)).resolves.toEqual({ fine: true });
    renewing.close();
  });

  it('gives up when renewed credentials are refused too', async () => {
    server.answer = (_, response) => answerStatus(response, 401);
    expect(await failureOf(connection.request(GET))).toMatchObject({ status: 401, retryable: false });
    expect(server.requests).toHaveLength(2);
  });

  it('cannot be reached where nobody listens', async () => {
    await server.close();
    const error = await failureOf(connection.request(GET));
    expect(error).toMatchObject({ status: 0, reason: 'Unreachable', retryable: true });
    expect(error.message).toMatch(/^GET deployments shop\/web: .*ECONNREFUSED/u);
  });

  it('gives up on a server that takes the request and stays silent', async () => {
    server.answer = () => undefined;
    const failing = failureOf(connection.request({ ...GET, timeoutMs: 7_000 }));
    await until('request seen', () => server.requests.length === 1);
    await vi.advanceTimersByTimeAsync(7_000);
    expect((await failing).message).toBe('GET deployments shop/web: no answer in time');
  });

  it('gives up on an answer that never ends', { tags: 'attack-size' }, async () => {
    server.answer = (_, response) => response.write('{"kind":');
    const failing = failureOf(connection.request(GET));
    await until('request seen', () => server.requests.length === 1);
    await quiet();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await failing).toMatchObject({ reason: 'Unreachable' });
  });

  it.each([
    [
      'with an upgrade',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    ],
    ['without one', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ])('gives up on a server that switches protocols, %s', async (_, text) => {
    server.answer = (__, response) => response.socket?.write(text);
    const error = await failureOf(connection.request(GET));
    expect(error).toMatchObject({ reason: 'Unreachable', retryable: true });
    expect(error.message).toBe('GET deployments shop/web: answered 101 Switching Protocols');
  });

  it('gives up on credentials that do not come', async () => {
    let asked = false;
    const waiting = connectForTest(server.url, {
      readCredentials() {
        asked = true;
        return new Promise(() => {});
      },
    });
    const failing = failureOf(waiting.request({ ...GET, timeoutMs: 7_000 }));
    await until('credentials asked for', () => asked);
    await vi.advanceTimersByTimeAsync(7_000);
    expect((await failing).message).toBe('GET deployments shop/web: no answer in time');
    waiting.close();
  });

  it('gives up connecting long before the deadline', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const lost = connectForTest(new URL(`https://127.0.0.1:${port}`));
    const accepted = once(silent, 'connection');
    const failing = failureOf(lost.request(GET));
    await accepted;
    await vi.advanceTimersByTimeAsync(5_000);
    expect((await failing).message).toContain('not connected within 5 s');
    lost.close();
    silent.close();
  });

  it('ends with the reason of the caller', async () => {
    server.answer = () => undefined;
    const caller = new AbortController();
    const ending = connection.request({ ...GET, signal: caller.signal });
    await until('request seen', () => server.requests.length === 1);
    caller.abort(new Error('no longer wanted'));
    await expect(ending).rejects.toThrow('no longer wanted');
    await expect(connection.request({ ...GET, signal: caller.signal })).rejects.toThrow('no longer wanted');
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ['GET', 429, true],
    ['POST', 429, true],
    ['PATCH', 429, true],
    ['GET', 503, true],
    ['PUT', 500, true],
    ['POST', 503, false],
    ['PATCH', 503, false],
    ['GET', 409, false],
  ] as const)(
    'a %s answered with %i and a time to come back: comes back %s',
    async (method, status, comesBack) => {
      server.answer = (_, response) => {
        if (server.requests.length > 1) {
          answerJson(response, { at: 'last' });
        } else {
          answerStatus(response, status, { retryAfter: 3 });
        }
      };
      const asking = connection.request({ ...GET, method }).catch((error: unknown) => error);
      await until('request seen', () => server.requests.length === 1);
      await quiet();
      await vi.advanceTimersByTimeAsync(2_900);
      expect(server.requests).toHaveLength(1);
      await vi.advanceTimersByTimeAsync(100);
      const outcome = comesBack ? { at: 'last' } : { status, retryAfterMs: 3_000 };
      expect(await asking).toMatchObject(outcome);
    },
  );

  it('does not come back on its own when the server did not say when', async () => {
    server.answer = (_, response) => answerStatus(response, 503);
    await failureOf(connection.request(GET));
    expect(server.requests).toHaveLength(1);
  });

  it('does not wait longer than its deadline', async () => {
    server.answer = (_, response) => answerStatus(response, 429, { retryAfter: 3_600 });
    const failing = failureOf(connection.request(GET));
    await until('request seen', () => server.requests.length === 1);
    await quiet();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await failing).toMatchObject({ status: 429, retryAfterMs: 3_600_000 });
  });

  it('comes back ten times at most', async () => {
    server.answer = (_, response) => answerStatus(response, 429, { retryAfter: 0 });
    expect(await failureOf(connection.request(GET))).toMatchObject({ status: 429 });
    expect(server.requests).toHaveLength(10);
  });

  it('asks the guard before every attempt, and sends nothing that it forbids', async () => {
    server.answer = (_, response) => answerStatus(response, 429, { retryAfter: 0 });
    let mayWrite = 3;
    const guard = () => {
      mayWrite -= 1;
      if (mayWrite < 0) {
        throw new NotLeaderError('lost');
      }
    };
    await expect(connection.request({ ...GET, guard })).rejects.toThrow(NotLeaderError);
    expect(server.requests).toHaveLength(3);
  });

  describe('on a connection that the server has just closed', () => {
    beforeEach(async () => {
      await connection.request(GET);
      server.answer = ({ headers }, response) => {
        if (server.sockets.length === 1) {
          response.socket?.resetAndDestroy();
        } else {
          answerJson(response, { connection: headers.connection });
        }
      };
    });

    it('uses another one', async () => {
      await expect(connection.request(GET)).resolves.toEqual({ connection: 'keep-alive' });
    });

    it('does not send a patch again, because it may have arrived', async () => {
      expect(await failureOf(connection.request({ ...GET, method: 'PATCH' }))).toMatchObject({
        status: 0,
        reason: 'Unreachable',
      });
    });
  });

  it('has no limit of its own', async () => {
    await Promise.all(Array.from({ length: 200 }, () => connection.request(GET)));
    expect(server.requests).toHaveLength(200);
  });

  it('sends nothing more while the API server has too much to do, but what is urgent', async () => {
    server.answer = (_, response) => answerBusy(response, 3);
    const first = connection.request(GET);
    await until('the first refused', () => server.requests.length === 1);
    await quiet();
    server.answer = (_, response) => answerJson(response, {});
    const others = Promise.all([1, 2, 3].map(() => connection.request(GET)));
    await connection.request({ ...GET, isUrgent: true });
    await quiet();
    expect(server.requests).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(3_000);
    await Promise.all([first, others]);
    expect(server.requests).toHaveLength(6);
  });

  it('sends nothing again before the end of the longest pause that it was told', async () => {
    server.answer = ({ path }, response) => answerBusy(response, path === PATH ? 3 : 10);
    const both = Promise.all([PATH, '/api/v1/nodes'].map((path) => connection.request({ ...GET, path })));
    await until('both refused', () => server.requests.length === 2);
    await quiet();
    server.answer = (_, response) => answerJson(response, {});
    await vi.advanceTimersByTimeAsync(9_000);
    expect(server.requests).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1_000);
    await both;
  });

  it.each([
    [
      'an object is refused for now',
      { ...GET, method: 'PATCH' },
      (response: ServerResponse) => answerStatus(response, 429, { retryAfter: 3 }),
    ],
    [
      'something urgent has to wait',
      { ...GET, isUrgent: true },
      (response: ServerResponse) => answerBusy(response, 3),
    ],
  ] as const)('sends all others while %s', async (_, request, refuse) => {
    server.answer = (_request, response) => refuse(response);
    const first = connection.request(request);
    await until('the first refused', () => server.requests.length === 1);
    await quiet();
    server.answer = (_request, response) => answerJson(response, {});
    await connection.request(GET);
    await vi.advanceTimersByTimeAsync(3_000);
    await first;
  });

  it('pauses for half a minute at most, and not for a caller who has gone', async () => {
    server.answer = (_, response) => answerBusy(response, 86_400);
    const first = failureOf(connection.request(GET));
    await until('the first refused', () => server.requests.length === 1);
    await quiet();
    const caller = new AbortController();
    const gone = connection.request({ ...GET, signal: caller.signal });
    const other = failureOf(connection.request(GET));
    caller.abort(new Error('no longer wanted'));
    await expect(gone).rejects.toThrow('no longer wanted');
    await vi.advanceTimersByTimeAsync(29_000);
    expect(server.requests).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1_000);
    await until('the other one sent', () => server.requests.length === 2);
    await quiet();
    await vi.advanceTimersByTimeAsync(30_000);
    expect([await first, await other]).toMatchObject([{ status: 429 }, { status: 429 }]);
  });

  it('sends a burst at once, then at a steady rate, and urgent requests always, where it is told to', async () => {
    const limited = connectForTest(server.url, { limits: { rate: { perSecond: 2, burst: 3 } } });
    const all = Promise.all([1, 2, 3, 4, 5].map(() => limited.request(GET)));
    await until('burst', () => server.requests.length === 3);
    await limited.request({ ...GET, isUrgent: true });
    await quiet();
    expect(server.requests).toHaveLength(4);
    await vi.advanceTimersByTimeAsync(500);
    await until('one more', () => server.requests.length === 5);
    await vi.advanceTimersByTimeAsync(500);
    await all;
    limited.close();
  });
});

describe('watch', () => {
  const WATCH = {
    read: (document: unknown) => document,
    path: '/api/v1/namespaces/shop/configmaps',
    query: { resourceVersion: '5' },
  };

  async function collect(signal?: AbortSignal): Promise<{ seen: unknown[]; error: unknown }> {
    const seen: unknown[] = [];
    try {
      for await (const line of connection.watch({ ...WATCH, signal })) {
        seen.push(line);
      }
      return { seen, error: undefined };
    } catch (error) {
      return { seen, error };
    }
  }

  it('yields whole lines, wherever the chunks begin and end', async () => {
    server.answer = (_, response) => {
      for (const byte of Buffer.from('{"a":"é"}\n\n{"b":2}\n')) {
        response.write(Buffer.from([byte]));
      }
      response.end();
    };
    expect(await collect()).toEqual({ seen: [{ a: 'é' }, { b: 2 }], error: undefined });
    expect(server.requests[0]?.query).toEqual({ resourceVersion: '5', watch: 'true' });
  });

  it('has a connection of its own', async () => {
    await connection.request(GET);
    await collect();
    await connection.request(GET);
    expect(server.sockets).toHaveLength(2);
  });

  it.each([
    ['a line that is not JSON', '{"a":1}\nnot json\n', 'Undecodable'],
    ['an end in the middle of a line', '{"a":1}\n{"b"', 'WatchCut'],
  ])('fails after the good lines on %s', async (_, text, reason) => {
    server.answer = (__, response) => response.end(text);
    expect(await collect()).toMatchObject({ seen: [{ a: 1 }], error: { status: 0, reason } });
  });

  it('fails when the connection breaks', async () => {
    server.answer = (_, response) => response.write('{"a":1}\n', () => response.socket?.resetAndDestroy());
    expect((await collect()).error).toMatchObject({ status: 0, reason: 'WatchCut' });
  });

  it('fails with the answer when it is refused', async () => {
    server.answer = (_, response) => answerStatus(response, 410, { reason: 'Expired', message: 'too old' });
    const { error } = await collect();
    expect(error).toMatchObject({ status: 410, message: 'WATCH configmaps shop: 410 Expired: too old' });
  });

  it('fails after silence, counted from the last byte', async () => {
    let send: (text: string) => void = () => undefined;
    server.answer = (_, response) => {
      send = (text) => response.write(text);
      response.flushHeaders();
    };
    const collecting = collect();
    await until('watch open', () => server.requests.length === 1);
    await quiet();
    await vi.advanceTimersByTimeAsync(149_000);
    send('{"a":1}\n');
    await quiet();
    await vi.advanceTimersByTimeAsync(149_000);
    send('{"a":2}\n');
    await quiet();
    await vi.advanceTimersByTimeAsync(150_000);
    expect(await collecting).toMatchObject({ seen: [{ a: 1 }, { a: 2 }], error: { reason: 'WatchSilent' } });
  });

  it('closes the connection when nobody reads on', async () => {
    server.answer = (_, response) => response.write('{"a":1}\n');
    for await (const line of connection.watch(WATCH)) {
      expect(line).toEqual({ a: 1 });
      break;
    }
    await until('socket closed', () => server.sockets[0]?.destroyed === true);
  });

  it('ends with the reason of the caller', async () => {
    server.answer = (_, response) => response.write('{"a":1}\n');
    const caller = new AbortController();
    const collecting = collect(caller.signal);
    await until('watch open', () => server.requests.length === 1);
    await quiet();
    caller.abort(new Error('enough'));
    expect(await collecting).toMatchObject({ error: { message: 'enough' } });
  });
});
