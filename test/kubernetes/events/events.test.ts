import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { systemClock } from '../../../src/clock.ts';
import type { Connection } from '../../../src/kubernetes/connection/api-client.ts';
import { type Events, createEvents, cutBytes } from '../../../src/kubernetes/events/events.ts';
import type { ObjectEvent } from '../../../src/reconcile/events/object-event.ts';
import { aWorkload } from '../../support/builders.ts';
import {
  type ScriptedApiServer,
  answerJson,
  answerStatus,
  connectForTest,
  startApiServer,
} from '../scripted-api-server.ts';
import { fakeTime, memoryLog, quiet, until } from '../support.ts';

let server: ScriptedApiServer;
let connection: Connection;
let events: Events;
let log: ReturnType<typeof memoryLog>;

const FAILED: ObjectEvent = {
  type: 'Warning',
  reason: 'CopyFailed',
  action: 'CopyImage',
  note: 'nginx not found',
};

beforeEach(async () => {
  fakeTime();
  log = memoryLog();
  server = await startApiServer((_, response) => answerJson(response, {}, 201));
  connection = connectForTest(server.url);
  events = createEvents({ connection, instance: 'i'.repeat(200), clock: systemClock, log });
});

afterEach(async () => {
  vi.useRealTimers();
  connection.close();
  await server.close();
});

it('says what happened to which object, in the form of events.k8s.io', async () => {
  vi.setSystemTime(new Date('2026-03-01T10:00:00.123Z'));
  events.record(aWorkload({ uid: 'u', resourceVersion: '7' }), FAILED);
  await events.close(1_000);
  expect(server.requests[0]).toMatchObject({
    method: 'POST',
    path: '/apis/events.k8s.io/v1/namespaces/shop/events',
  });
  expect(server.requests[0]?.body).toEqual({
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: expect.stringMatching(/^web\.[0-9a-f]{16}$/u) as string, namespace: 'shop' },
    eventTime: '2026-03-01T10:00:00.123000Z',
    reportingController: 'backup-image-registry/controller',
    reportingInstance: 'i'.repeat(128),
    regarding: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      namespace: 'shop',
      name: 'web',
      uid: 'u',
      resourceVersion: '7',
    },
    type: 'Warning',
    reason: 'CopyFailed',
    action: 'CopyImage',
    note: 'nginx not found',
  });
});

it('can be about a ConfigMap', async () => {
  events.record(
    { kind: 'ConfigMap', namespace: 'ours', name: 'settings', uid: 'c', resourceVersion: '1' },
    { ...FAILED, action: 'ReloadConfig' },
  );
  await events.close(1_000);
  expect(server.requests[0]?.body).toMatchObject({ regarding: { apiVersion: 'v1', kind: 'ConfigMap' } });
});

it('keeps names valid however long and oddly the object is called', { tags: 'attack-text' }, async () => {
  events.record(aWorkload({ name: `${'a'.repeat(235)}.${'-b'.repeat(8)}` }), FAILED);
  await events.close(1_000);
  expect(server.requests[0]?.body).toMatchObject({
    metadata: { name: expect.stringMatching(/^a{235}\.[0-9a-f]{16}$/u) as string },
  });
});

describe('what happens again within ten minutes', () => {
  async function recordAfter(ms: number, workload = aWorkload(), event = FAILED): Promise<number> {
    await vi.advanceTimersByTimeAsync(ms);
    events.record(workload, event);
    await quiet();
    return server.requests.length;
  }

  it('is the same event with a series, and no more than one request a minute', async () => {
    vi.setSystemTime(new Date('2026-03-01T10:00:00.000Z'));
    expect(await recordAfter(0)).toBe(1);
    expect(await recordAfter(5_000)).toBe(2);
    expect(await recordAfter(59_000)).toBe(2);
    expect(await recordAfter(1_000)).toBe(3);
    const [created, ...updates] = server.requests;
    const body = created?.body as { readonly metadata: { readonly name: string } } | undefined;
    const path = `/apis/events.k8s.io/v1/namespaces/shop/events/${body?.metadata.name}`;
    expect(updates).toMatchObject([
      {
        method: 'PATCH',
        path,
        body: { series: { count: 2, lastObservedTime: '2026-03-01T10:00:05.000000Z' } },
      },
      {
        method: 'PATCH',
        path,
        body: { series: { count: 4, lastObservedTime: '2026-03-01T10:01:05.000000Z' } },
      },
    ]);
    expect(updates[0]?.headers['content-type']).toBe('application/merge-patch+json');
  });

  it('is another event when anything about it is another', async () => {
    await recordAfter(0);
    await recordAfter(0, aWorkload(), { ...FAILED, note: 'another one' });
    await recordAfter(0, aWorkload({ uid: 'another one' }));
    expect(server.requests.map(({ method }) => method)).toEqual(['POST', 'POST', 'POST']);
  });

  it('is another event after ten quiet minutes', async () => {
    await recordAfter(0);
    await recordAfter(599_000);
    await recordAfter(600_000);
    expect(server.requests.map(({ method }) => method)).toEqual(['POST', 'PATCH', 'POST']);
  });
});

it('goes on after a failure, and warns about a row of failures once', async () => {
  server.answer = (_, response) => answerStatus(response, 403);
  for (const note of ['one', 'two', 'three']) {
    events.record(aWorkload(), { ...FAILED, note });
  }
  await events.close(1_000);
  expect(server.requests).toHaveLength(3);
  expect(log.lines.map(({ level }) => level)).toEqual(['warn', 'debug', 'debug']);
});

it('sends one at a time, and drops what is too much', async () => {
  let answer: () => void = () => undefined;
  server.answer = (_, response) => {
    answer = () => answerJson(response, {}, 201);
  };
  for (let count = 0; count < 300; count++) {
    events.record(aWorkload(), { ...FAILED, note: `number ${count}` });
  }
  await until('first', () => server.requests.length === 1);
  await quiet();
  expect(server.requests).toHaveLength(1);
  server.answer = (_, response) => answerJson(response, {}, 201);
  answer();
  await events.close(1_000);
  expect(server.requests).toHaveLength(201);
});

it(
  'sends what one namespace has to say although there is a storm in another',
  { tags: 'attack-share' },
  async () => {
    const told = (): readonly unknown[] =>
      server.requests.map(({ body }) => (body as { metadata: { namespace: string } }).metadata.namespace);
    let answer: () => void = () => undefined;
    server.answer = (_, response) => {
      answer = () => answerJson(response, {}, 201);
    };
    for (let count = 0; count < 300; count++) {
      events.record(aWorkload({ namespace: 'hostile' }), { ...FAILED, note: `number ${count}` });
    }
    events.record(aWorkload({ namespace: 'shop' }), FAILED);
    await until('first', () => server.requests.length === 1);
    server.answer = (_, response) => answerJson(response, {}, 201);
    answer();
    await events.close(1_000);
    expect(told().slice(0, 3)).toEqual(['hostile', 'hostile', 'shop']);
    expect(told()).toHaveLength(202);
  },
);

it('does not wait for ever when it is closed, and sends nothing afterwards', async () => {
  server.answer = () => undefined;
  events.record(aWorkload(), FAILED);
  events.record(aWorkload(), { ...FAILED, note: 'waiting' });
  await until('first', () => server.requests.length === 1);
  const closing = events.close(1_000);
  await vi.advanceTimersByTimeAsync(1_000);
  await closing;
  events.record(aWorkload(), { ...FAILED, note: 'late' });
  await quiet();
  expect(server.requests).toHaveLength(1);
  expect(vi.getTimerCount()).toBe(0);
});

it.each([
  ['short', 10, 'short'],
  ['exactly 10', 10, 'exactly 10'],
  ['a long text', 10, 'a long …'],
  ['éééééééé', 10, 'ééé…'],
  ['ab😀😀😀', 10, 'ab😀…'],
])('cuts %j to %i bytes without breaking a character', { tags: 'attack-size' }, (text, bytes, expected) => {
  expect(cutBytes(text, bytes)).toBe(expected);
  expect(Buffer.byteLength(cutBytes(text, bytes))).toBeLessThanOrEqual(bytes);
});
