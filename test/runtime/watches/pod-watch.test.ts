import type { ServerResponse } from 'node:http';

import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { systemClock } from '../../../src/clock.ts';
import type { Connection } from '../../../src/kubernetes/connection/api-client.ts';
import { type PodWatch, createPodWatch } from '../../../src/runtime/watches/pod-watch.ts';
import {
  type ScriptedApiServer,
  answerStatus,
  connectForTest,
  startApiServer,
} from '../../kubernetes/scripted-api-server.ts';
import { fakeTime, quiet, until } from '../../kubernetes/support.ts';

const DB = { kind: 'StatefulSet', namespace: 'shop', name: 'db' } as const;
const END = {
  type: 'BOOKMARK',
  object: { metadata: { resourceVersion: '2', annotations: { 'k8s.io/initial-events-end': 'true' } } },
};

let server: ScriptedApiServer;
let connection: Connection;
let watch: PodWatch;
let ending: Promise<void>;
let stop: AbortController;
let heard: string[];
let lines: string[];
/** The watch that is open. */
let open: ServerResponse | undefined;
let isForbidden: boolean;
let version: number;

function send(...events: readonly object[]): void {
  for (const event of events) {
    open?.write(`${JSON.stringify(event)}\n`);
  }
}

function aPod(
  type: string,
  name: string,
  parts: { readonly ready?: string; readonly note?: string; readonly waiting?: string } = {},
) {
  version += 1;
  const { ready = 'True', note = '', waiting } = parts;
  const state = waiting === undefined ? {} : { waiting: { reason: waiting } };
  const ownerReferences = [{ kind: 'StatefulSet', name: 'db', uid: 'u', controller: true }];
  return {
    type,
    object: {
      metadata: { namespace: 'shop', name, uid: name, resourceVersion: `${version}`, ownerReferences, note },
      spec: { containers: [{ name: 'app', image: 'nginx:1.27' }] },
      status: {
        conditions: [{ type: 'Ready', status: ready }],
        containerStatuses: [{ name: 'app', state }],
      },
    },
  };
}

beforeEach(() => {
  fakeTime();
  [heard, lines, version, isForbidden, open] = [[], [], 10, false, undefined];
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort();
  await ending;
  connection.close();
  await server.close();
  vi.useRealTimers();
});

async function start(): Promise<void> {
  server = await startApiServer((_, response) => {
    if (isForbidden) {
      answerStatus(response, 403, { reason: 'Forbidden' });
    } else {
      open = response;
      send(aPod('ADDED', 'db-0'), END);
    }
  });
  connection = connectForTest(server.url);
  const log = pino({ base: null, level: 'warn' }, { write: (line: string) => lines.push(line) });
  watch = createPodWatch({ connection, clock: systemClock, log });
  watch.listen((key, { isOfPull }) => heard.push(isOfPull ? `${key}: pull` : key));
  ending = watch.run(stop.signal);
}

function names(): readonly string[] | undefined {
  return watch.listOf(DB)?.map(({ name }) => name);
}

it('knows the pods of a workload, and tells it of every change that matters', async () => {
  await start();
  await until('known', () => watch.isKnown());
  expect(names()).toEqual(['db-0']);
  send(aPod('ADDED', 'db-1'), aPod('MODIFIED', 'db-1', { ready: 'False' }), aPod('DELETED', 'db-0'));
  await until('told', () => heard.length === 4);
  expect(heard).toEqual(Array.from({ length: 4 }, () => 'StatefulSet/shop/db'));
  expect(watch.listOf(DB)).toMatchObject([{ name: 'db-1', ready: false }]);
  expect(server.requests[0]?.path).toContain('/api/v1/pods');
});

it('says nothing of a change of which nothing is read', async () => {
  await start();
  await until('known', () => watch.isKnown());
  send(aPod('MODIFIED', 'db-0', { note: 'seen' }), aPod('ADDED', 'db-1'));
  await until('told', () => names()?.length === 2);
  expect(heard).toHaveLength(2);
});

it('says of which changes a pod that cannot pull is part, at their beginning and their end', async () => {
  await start();
  await until('known', () => watch.isKnown());
  const waiting = (reason: string): object => aPod('MODIFIED', 'db-0', { ready: 'False', waiting: reason });
  send(waiting('ContainerCreating'), waiting('ErrImagePull'), aPod('MODIFIED', 'db-0'));
  await until('told', () => heard.length === 4);
  expect(heard.map((one) => one.endsWith(': pull'))).toEqual([false, false, true, true]);
});

it('without the right to watch it says so once, and pods are to be listed until it is granted', async () => {
  isForbidden = true;
  await start();
  expect(watch.isKnown()).toBe(false);
  for (let tries = 0; tries < 20; tries += 1) {
    await quiet();
    await vi.advanceTimersByTimeAsync(1_000);
  }
  await watch.known;
  expect([watch.isKnown(), names()]).toEqual([true, undefined]);
  expect(lines.filter((line) => line.includes('pods are listed'))).toHaveLength(1);
  isForbidden = false;
  for (let tries = 0; tries < 100 && names() === undefined; tries += 1) {
    await quiet();
    await vi.advanceTimersByTimeAsync(1_000);
  }
  expect(names()).toEqual(['db-0']);
});
