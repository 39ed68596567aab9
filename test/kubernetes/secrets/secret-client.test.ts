import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ConflictError, WriteDeniedError } from '../../../src/errors.ts';
import type { Connection } from '../../../src/kubernetes/connection/api-client.ts';
import { createPullSecretClient, projectPullSecret } from '../../../src/kubernetes/secrets/secret-client.ts';
import type { PullSecretClient } from '../../../src/reconcile/ports.ts';
import {
  type ScriptedApiServer,
  answerJson,
  answerStatus,
  connectForTest,
  startApiServer,
} from '../scripted-api-server.ts';

const { signal } = new AbortController();
const SECRET = { namespace: 'shop', name: 'pull', uid: 'u', resourceVersion: '7', isOurs: true, usedBy: [] };
const CONTENT = { config: 'e30=', usedBy: ['CronJob', 'Deployment'] };

let server: ScriptedApiServer;
let connection: Connection;
let client: PullSecretClient;

beforeEach(async () => {
  server = await startApiServer((_, response) => answerJson(response, {}));
  connection = connectForTest(server.url);
  client = createPullSecretClient({ connection, ownNamespace: 'backup', assertMayWrite: () => undefined });
});

afterEach(async () => {
  connection.close();
  await server.close();
});

describe('a Secret', () => {
  const raw = (metadata: object, more: object = {}) => ({
    metadata: { namespace: 'shop', name: 'pull', uid: 'u', resourceVersion: '7', ...metadata },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': 'e30=', other: 'eA==' },
    ...more,
  });

  it('of ours is known by its label, and says who uses it', () => {
    const labels = { 'backup-image-registry/pull-secret-of': 'backup' };
    const annotations = { 'backup-image-registry/used-by': 'CronJob,Deployment' };
    expect(projectPullSecret(raw({ labels, annotations }), 'backup')).toEqual({
      ...SECRET,
      config: 'e30=',
      usedBy: ['CronJob', 'Deployment'],
    });
    expect(projectPullSecret(raw({ labels }), 'other')?.isOurs).toBe(false);
  });

  it('of others is not kept', () => {
    expect(projectPullSecret(raw({}), 'backup')).toEqual({ ...SECRET, isOurs: false });
  });

  it('beside the controller is usable when it is of the right type', () => {
    expect(projectPullSecret(raw({ namespace: 'backup' }), 'backup')?.config).toBe('e30=');
    const opaque = projectPullSecret(raw({ namespace: 'backup' }, { type: 'Opaque' }), 'backup');
    expect(opaque).not.toHaveProperty('config');
  });

  it('cannot come from something else', () => {
    expect(projectPullSecret(null, 'backup')).toBeUndefined();
    expect(projectPullSecret({ metadata: { name: 5 } }, 'backup')).toBeUndefined();
  });
});

it('is handed out with its label', async () => {
  await client.create({ namespace: 'shop', name: 'pull' }, CONTENT, signal);
  expect(server.requests[0]).toMatchObject({ method: 'POST', path: '/api/v1/namespaces/shop/secrets' });
  expect(server.requests[0]?.body).toEqual({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      namespace: 'shop',
      name: 'pull',
      labels: { 'backup-image-registry/pull-secret-of': 'backup' },
      annotations: { 'backup-image-registry/used-by': 'CronJob,Deployment' },
    },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': 'e30=' },
  });
});

it('is changed and removed only as it was seen', async () => {
  await client.update(SECRET, CONTENT, signal);
  await client.remove(SECRET, signal);
  expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
    'PATCH /api/v1/namespaces/shop/secrets/pull',
    'DELETE /api/v1/namespaces/shop/secrets/pull',
  ]);
  expect(server.requests[0]?.body).toMatchObject({ metadata: { uid: 'u', resourceVersion: '7' } });
  expect(server.requests[1]?.body).toMatchObject({ preconditions: { uid: 'u', resourceVersion: '7' } });
});

it.each([
  [409, ConflictError],
  [403, WriteDeniedError],
])('refused with %i is a decision for the caller', async (status, expected) => {
  server.answer = (_, response) => answerStatus(response, status);
  await expect(client.create(SECRET, CONTENT, signal)).rejects.toThrow(expected);
});
