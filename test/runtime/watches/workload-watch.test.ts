import type { ServerResponse } from 'node:http';

import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { systemClock } from '../../../src/clock.ts';
import { type WorkloadWatch, createWorkloadWatch } from '../../../src/runtime/watches/workload-watch.ts';
import type { Connection } from '../../../src/kubernetes/connection/api-client.ts';
import {
  type ScriptedApiServer,
  answerStatus,
  connectForTest,
  startApiServer,
} from '../../kubernetes/scripted-api-server.ts';
import { fakeTime, quiet, until } from '../../kubernetes/support.ts';

type Answer = (response: ServerResponse) => void;

let server: ScriptedApiServer;
let connection: Connection;
let watch: WorkloadWatch;
let ending: Promise<void>;
let stop: AbortController;
let heard: string[];
/** By plural. */
let answers: Map<string, Answer>;

/** One workload, and the end of the list. */
function answerList(response: ServerResponse): void {
  const metadata = { namespace: 'shop', name: 'web', uid: 'u', resourceVersion: '1' };
  const end = { resourceVersion: '2', annotations: { 'k8s.io/initial-events-end': 'true' } };
  for (const event of [
    { type: 'ADDED', object: { metadata } },
    { type: 'BOOKMARK', object: { metadata: end } },
  ]) {
    response.write(`${JSON.stringify(event)}\n`);
  }
}

const refuse: Answer = (response) => answerStatus(response, 403, { reason: 'Forbidden' });
/** Says nothing yet. */
const stall: Answer = (response) => response.flushHeaders();

beforeEach(async () => {
  fakeTime();
  heard = [];
  answers = new Map();
  stop = new AbortController();
  server = await startApiServer(({ path }, response) =>
    (answers.get(path.split('/').at(-1) ?? '') ?? answerList)(response),
  );
  connection = connectForTest(server.url);
  watch = createWorkloadWatch({
    connection,
    clock: systemClock,
    log: pino({ enabled: false }),
    isInScope: () => true,
  });
  watch.listen({
    onChange: (key, workload) => heard.push(`${key} ${workload ? 'is there' : 'is gone'}`),
    onSynced: () => heard.push('synced'),
    onForbidden: (kinds) => heard.push(`forbidden: ${kinds.join()}`),
  });
  ending = watch.run(stop.signal);
});

afterEach(async () => {
  stop.abort();
  await ending;
  connection.close();
  await server.close();
  vi.useRealTimers();
});

/** Lets time pass until the API server was asked for a kind that often. */
async function untilAsked(plural: string, times: number): Promise<void> {
  const count = () => server.requests.filter(({ path }) => path.endsWith(plural)).length;
  for (let tries = 0; count() < times && tries < 100; tries += 1) {
    await quiet();
    await vi.advanceTimersByTimeAsync(1_000);
  }
  await quiet();
  expect(count()).toBeGreaterThanOrEqual(times);
}

it('is synced only once every kind is known, however long that takes', async () => {
  answers.set('daemonsets', stall);
  watch.setKinds(['Deployment', 'DaemonSet']);
  await until('known', () => watch.list().length === 1);
  await vi.advanceTimersByTimeAsync(20_000);
  await quiet();
  expect([watch.hasSynced(), heard]).toEqual([false, ['Deployment/shop/web is there']]);
});

it('does not wait for a kind that may not be read, and takes it in when it may', async () => {
  answers.set('statefulsets', refuse);
  watch.setKinds(['Deployment', 'StatefulSet']);
  await untilAsked('statefulsets', 2);
  expect([watch.hasSynced(), watch.listForbidden()]).toEqual([false, []]);
  await untilAsked('statefulsets', 5);
  expect(heard).toContain('synced');
  expect(watch.listForbidden()).toEqual(['StatefulSet']);
  expect(heard.filter((text) => text.startsWith('forbidden'))).toEqual(['forbidden: StatefulSet']);

  answers.delete('statefulsets');
  await untilAsked('statefulsets', 6);
  await until('taken in', () => heard.includes('StatefulSet/shop/web is there'));
  await until('allowed', () => heard.includes('forbidden: '));
  expect(watch.list()).toHaveLength(2);
});

it('takes kinds in and lets them go', async () => {
  watch.setKinds(['Deployment']);
  await until('synced', () => heard.includes('synced'));
  watch.setKinds(['Deployment', 'CronJob']);
  expect(watch.hasSynced()).toBe(false);
  await until('synced', () => watch.hasSynced());
  watch.setKinds(['CronJob']);
  expect(heard).toContain('Deployment/shop/web is gone');
  expect(watch.list().map(({ kind }) => kind)).toEqual(['CronJob']);
  expect(watch.get({ kind: 'Deployment', namespace: 'shop', name: 'web' })).toBeUndefined();
});
