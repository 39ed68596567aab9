import type { ServerResponse } from 'node:http';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ApiError, ConflictError, WriteDeniedError } from '../../../src/errors.ts';
import type { Connection } from '../../../src/kubernetes/connection/api-client.ts';
import { NotLeaderError } from '../../../src/kubernetes/election/leader-election.ts';
import { createWorkloadClient } from '../../../src/kubernetes/workloads/workload-client.ts';
import type { WorkloadClient } from '../../../src/reconcile/ports.ts';
import { aWorkload } from '../../support/builders.ts';
import {
  type ScriptedApiServer,
  answerJson,
  answerStatus,
  connectForTest,
  startApiServer,
} from '../scripted-api-server.ts';

const { signal } = new AbortController();

let server: ScriptedApiServer;
let connection: Connection;
let client: WorkloadClient;
let mayWrite: boolean;
let nowMs: number;

beforeEach(async () => {
  mayWrite = true;
  nowMs = 0;
  server = await startApiServer((_, response) => answerJson(response, {}));
  connection = connectForTest(server.url);
  client = createWorkloadClient({
    connection,
    assertMayWrite: () => {
      if (!mayWrite) {
        throw new NotLeaderError('not leading');
      }
    },
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
  });
});

afterEach(async () => {
  connection.close();
  await server.close();
});

describe('patch', () => {
  const SLOTS = [{ place: 'containers', name: 'app', image: 'b.io/nginx' }] as const;

  it('is one strategic merge of identity, annotations, names and images, and nothing else', async () => {
    await client.patch(
      aWorkload({ kind: 'DaemonSet', namespace: 'shop', name: 'web', uid: 'u', resourceVersion: '7' }),
      {
        slots: [
          { place: 'containers', name: 'app', image: 'b.io/nginx' },
          { place: 'containers', name: 'side', image: 'b.io/envoy' },
          { place: 'initContainers', name: 'prepare', image: 'b.io/busybox' },
          { place: 'volumes', name: 'models', image: 'b.io/models' },
        ],
        annotations: { 'backup-image-registry/status': '{}', 'backup-image-registry/hold': null },
      },
      signal,
    );
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]).toMatchObject({
      method: 'PATCH',
      path: '/apis/apps/v1/namespaces/shop/daemonsets/web',
      query: { fieldManager: 'backup-image-registry-controller' },
      headers: { 'content-type': 'application/strategic-merge-patch+json' },
    });
    expect(server.requests[0]?.body).toEqual({
      metadata: {
        uid: 'u',
        resourceVersion: '7',
        annotations: { 'backup-image-registry/status': '{}', 'backup-image-registry/hold': null },
      },
      spec: {
        template: {
          spec: {
            containers: [
              { name: 'app', image: 'b.io/nginx' },
              { name: 'side', image: 'b.io/envoy' },
            ],
            initContainers: [{ name: 'prepare', image: 'b.io/busybox' }],
            volumes: [{ name: 'models', image: { reference: 'b.io/models' } }],
          },
        },
      },
    });
  });

  it('adds and removes pull secrets by name', async () => {
    const pullSecrets = { add: ['new'], remove: ['old'] };
    await client.patch(aWorkload(), { slots: [], annotations: {}, pullSecrets }, signal);
    expect(server.requests[0]?.body).toMatchObject({
      spec: {
        template: { spec: { imagePullSecrets: [{ name: 'new' }, { $patch: 'delete', name: 'old' }] } },
      },
    });
  });

  it('of a CronJob goes to the template of its Jobs', async () => {
    await client.patch(aWorkload({ kind: 'CronJob' }), { slots: SLOTS, annotations: {} }, signal);
    expect(server.requests[0]?.path).toBe('/apis/batch/v1/namespaces/shop/cronjobs/web');
    const spec = { containers: [{ name: 'app', image: 'b.io/nginx' }] };
    expect(server.requests[0]?.body).toMatchObject({
      spec: { jobTemplate: { spec: { template: { spec } } } },
    });
  });

  it('of a pod names the pod that was seen, and images only', async () => {
    await client.patchPod(aWorkload(), { name: 'web-0', uid: 'p', slots: SLOTS }, signal);
    expect(server.requests[0]).toMatchObject({ method: 'PATCH', path: '/api/v1/namespaces/shop/pods/web-0' });
    expect(server.requests[0]?.body).toEqual({
      metadata: { uid: 'p' },
      spec: { containers: [{ name: 'app', image: 'b.io/nginx' }] },
    });
  });

  it('of annotations alone does not touch the template', async () => {
    await client.patch(
      aWorkload(),
      { slots: [], annotations: { 'backup-image-registry/status': '{}' } },
      signal,
    );
    expect(server.requests[0]?.body).not.toHaveProperty('spec');
  });

  it('is not sent by a process that does not lead', async () => {
    mayWrite = false;
    await expect(client.patch(aWorkload(), { slots: SLOTS, annotations: {} }, signal)).rejects.toThrow(
      NotLeaderError,
    );
    expect(server.requests).toEqual([]);
  });

  const uidChanged = {
    message: 'metadata.uid: Invalid value: "u": field is immutable',
    details: { causes: [{ field: 'metadata.uid', message: 'field is immutable' }] },
  };
  const badImage = {
    message: 'image: Required value',
    details: { causes: [{ field: 'spec.template.spec.containers[0].image', message: 'Required value' }] },
  };
  it.each([
    [409, {}, ConflictError],
    [404, {}, ConflictError],
    [422, uidChanged, ConflictError],
    [422, { message: 'Precondition failed: UID in precondition' }, ConflictError],
    [422, badImage, WriteDeniedError],
    [422, {}, WriteDeniedError],
    [403, { message: 'admission webhook "x" denied the request' }, WriteDeniedError],
    [500, {}, ApiError],
    [401, {}, ApiError],
  ])('refused with %i %j is a decision for the caller', async (code, status, expected) => {
    server.answer = (_, response) => answerJson(response, { kind: 'Status', code, ...status }, code);
    const failing = client.patch(aWorkload(), { slots: SLOTS, annotations: {} }, signal);
    await expect(failing).rejects.toThrow(expected);
    await expect(failing).rejects.toThrow(/^PATCH deployments shop\/web: /u);
  });
});

describe('a dry run of a patch', () => {
  const patch = {
    slots: [
      { place: 'containers', name: 'app', image: 'b.io/nginx' },
      { place: 'volumes', name: 'app', image: 'b.io/model' },
    ],
    annotations: {},
  } as const;

  function answerWith(image: string, reference: string): void {
    const spec = {
      containers: [{ name: 'app', image }],
      volumes: [{ name: 'app', image: { reference } }],
    };
    server.answer = (_, response) =>
      answerJson(response, {
        metadata: { name: 'web', namespace: 'shop', uid: 'u', resourceVersion: '8' },
        spec: { selector: { matchLabels: { app: 'web' } }, template: { spec } },
      });
  }

  it('is the same patch, and tells what the slots would hold', async () => {
    answerWith('m.io/nginx', 'm.io/model');
    const made = await client.dryRunPatch(aWorkload(), patch, signal);
    expect(made?.slots).toMatchObject([
      { place: 'containers', name: 'app', image: 'm.io/nginx' },
      { place: 'volumes', name: 'app', image: 'm.io/model' },
    ]);
    await client.patch(aWorkload(), patch, signal);
    const [dryRun, patched] = server.requests.filter(({ method }) => method === 'PATCH');
    expect(dryRun?.query).toEqual({ ...patched?.query, dryRun: 'All' });
    expect(dryRun?.body).toEqual(patched?.body);
  });

  it.each([
    [403, WriteDeniedError],
    [409, ConflictError],
    [500, ApiError],
  ])('refused with %i is a decision for the caller', async (code, expected) => {
    server.answer = (_, response) => answerJson(response, { kind: 'Status', code }, code);
    await expect(client.dryRunPatch(aWorkload(), patch, signal)).rejects.toThrow(expected);
  });

  it('shows nothing where a webhook does not support that', async () => {
    const message = 'admission webhook "x" does not support dry run';
    server.answer = (_, response) => answerJson(response, { kind: 'Status', code: 400, message }, 400);
    await expect(client.dryRunPatch(aWorkload(), patch, signal)).resolves.toBeUndefined();
  });
});

describe('a dry run of a pod', () => {
  const patch = {
    slots: [{ place: 'containers', name: 'app', image: 'b.io/nginx' }],
    annotations: {},
  } as const;
  const template = {
    metadata: { labels: { app: 'db' }, annotations: { scrape: 'yes' } },
    spec: { serviceAccountName: 'db', containers: [{ name: 'app', image: 'b.io/nginx' }] },
  };
  const workload = aWorkload({ kind: 'StatefulSet', namespace: 'shop', name: 'db' });

  /** What a StatefulSet answers to a patch, a review of permissions and a pod. */
  function answerWith(allowed: boolean, answerPod: (response: ServerResponse) => void): void {
    server.answer = ({ method, path }, response) => {
      if (method === 'PATCH') {
        answerJson(response, {
          metadata: { name: 'db', namespace: 'shop', uid: 'u', resourceVersion: '8' },
          spec: { template, volumeClaimTemplates: [{ metadata: { name: 'data' } }] },
        });
      } else if (path.endsWith('/selfsubjectaccessreviews')) {
        answerJson(response, { status: { allowed } }, 201);
      } else {
        answerPod(response);
      }
    };
  }

  const answerImage =
    (image: string) =>
    (response: ServerResponse): void =>
      answerJson(response, { spec: { containers: [{ name: 'app', image }] } }, 201);

  const pods = () => server.requests.filter(({ path }) => path === '/api/v1/namespaces/shop/pods');
  const reviews = () => server.requests.filter(({ path }) => path.endsWith('/selfsubjectaccessreviews'));

  it('is of the patched template, with its metadata and the claims of a StatefulSet, and shows its images', async () => {
    answerWith(true, answerImage('mirror.io/nginx'));
    const preview = await client.dryRunPatch(workload, patch, signal);
    expect(preview?.pod).toEqual({
      is: 'seen',
      slots: [{ place: 'containers', name: 'app', image: 'mirror.io/nginx' }],
    });
    const claims = [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }];
    expect(pods()).toMatchObject([
      {
        method: 'POST',
        query: { dryRun: 'All' },
        body: {
          metadata: {
            ...template.metadata,
            namespace: 'shop',
            generateName: 'db-',
            ownerReferences: [{ kind: 'StatefulSet', name: 'db', uid: 'uid-1', controller: true }],
          },
          spec: { ...template.spec, volumes: claims },
        },
      },
    ]);
  });

  it('is not tried without the permission, which is asked for once a minute', async () => {
    answerWith(false, answerImage('b.io/nginx'));
    expect((await client.dryRunPatch(workload, patch, signal))?.pod).toEqual({ is: 'not permitted' });
    await client.dryRunPatch(workload, patch, signal);
    expect([pods().length, reviews().length]).toEqual([0, 1]);
    expect(reviews()[0]?.body).toMatchObject({
      spec: { resourceAttributes: { namespace: 'shop', verb: 'create', resource: 'pods' } },
    });
    nowMs += 60_000;
    await client.dryRunPatch(workload, patch, signal);
    expect(reviews()).toHaveLength(2);
  });

  it.each([
    [400, 'admission webhook "x" does not support dry run'],
    [
      403,
      'pods "db-x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=2, limited: pods=2',
    ],
  ])('says nothing when it is answered with %i: %s', async (code, message) => {
    answerWith(true, (response) => answerJson(response, { kind: 'Status', code, message }, code));
    expect((await client.dryRunPatch(workload, patch, signal))?.pod).toEqual({ is: 'unknown' });
  });

  it.each([
    [403, WriteDeniedError],
    [422, WriteDeniedError],
    [500, ApiError],
  ])('refused with %i is a decision for the caller', async (code, expected) => {
    answerWith(true, (response) => answerJson(response, { kind: 'Status', code }, code));
    await expect(client.dryRunPatch(workload, patch, signal)).rejects.toThrow(expected);
  });

  it('is made by nobody who does not lead', async () => {
    answerWith(true, answerImage('b.io/nginx'));
    mayWrite = false;
    await expect(client.dryRunPatch(workload, patch, signal)).rejects.toThrow(NotLeaderError);
    expect(pods()).toEqual([]);
  });
});

describe('the platforms of nodes', () => {
  const aNode = (operatingSystem: string, architecture: string) => ({
    status: { nodeInfo: { operatingSystem, architecture } },
  });

  it('are those that the nodes tell, each once', async () => {
    const items = [aNode('linux', 'arm64'), aNode('linux', 'amd64'), aNode('linux', 'arm64'), { status: {} }];
    server.answer = (_, response) => answerJson(response, { items });
    expect(await client.listNodePlatforms(signal)).toEqual(['linux/amd64', 'linux/arm64']);
  });

  it('are asked for once a minute, and again when they could not be read', async () => {
    server.answer = (_, response) => answerStatus(response, 403);
    await expect(client.listNodePlatforms(signal)).rejects.toMatchObject({ status: 403 });
    server.answer = (_, response) => answerJson(response, { items: [] });
    await client.listNodePlatforms(signal);
    nowMs += 59_000;
    await client.listNodePlatforms(signal);
    expect(server.requests).toHaveLength(2);
    nowMs += 1_000;
    await client.listNodePlatforms(signal);
    expect(server.requests).toHaveLength(3);
  });
});

describe('pods', () => {
  it('are those that the selector matches, page by page', async () => {
    server.answer = ({ query }, response) =>
      answerJson(response, {
        metadata: { continue: query['continue'] ? '' : 'next' },
        items: [{ metadata: { name: query['continue'] ? 'second' : 'first' } }, null],
      });
    const pods = await client.listPods(aWorkload({ podSelector: 'app=web,tier in (a,b)' }), signal);
    expect(pods.map(({ name }) => name)).toEqual(['first', 'second']);
    expect(server.requests.map(({ path, query }) => [path, query])).toEqual([
      ['/api/v1/namespaces/shop/pods', { labelSelector: 'app=web,tier in (a,b)', limit: '500' }],
      [
        '/api/v1/namespaces/shop/pods',
        { labelSelector: 'app=web,tier in (a,b)', limit: '500', continue: 'next' },
      ],
    ]);
  });

  it('of a CronJob are those of its scheduled runs', async () => {
    const items = ['web-29000000', 'web-29000000-x', 'web-ui-29000000', 'web-by-hand', 'other-1'].map(
      (job) => ({
        metadata: {
          name: `pod-of-${job}`,
          uid: 'p',
          ownerReferences: [{ controller: true, uid: 'j', name: job }],
        },
      }),
    );
    server.answer = (_, response) =>
      answerJson(response, { items: [...items, { metadata: { name: 'bare' } }] });
    const pods = await client.listPods(aWorkload({ kind: 'CronJob', podSelector: 'job-name' }), signal);
    expect(pods.map(({ name }) => name)).toEqual(['pod-of-web-29000000']);
  });

  it('are none when there is nothing to select by', async () => {
    await expect(client.listPods(aWorkload({ podSelector: '' }), signal)).resolves.toEqual([]);
    expect(server.requests).toEqual([]);
  });

  it('that cannot be read are a failure', async () => {
    server.answer = (_, response) => answerStatus(response, 403);
    await expect(client.listPods(aWorkload(), signal)).rejects.toMatchObject({ status: 403 });
  });
});

describe('former templates', () => {
  const template = { spec: { containers: [{ name: 'app', image: 'nginx:1.27' }] } };
  const aReplicaSet = (uid: string): object => ({
    metadata: {
      ownerReferences: [{ uid: 'other' }, { uid }],
      annotations: { 'backup-image-registry/status': '{}', 'deployment.kubernetes.io/revision': '3' },
    },
    spec: { template },
  });

  it('are those of the ReplicaSets that belong to the Deployment', async () => {
    const items = [aReplicaSet('uid-1'), aReplicaSet('uid-2'), { spec: { template } }, null];
    server.answer = (_, response) => answerJson(response, { items });
    expect(await client.listFormerTemplates(aWorkload({ uid: 'uid-1' }), signal)).toEqual([
      {
        slots: [{ place: 'containers', name: 'app', image: 'nginx:1.27' }],
        annotations: { 'backup-image-registry/status': '{}' },
      },
    ]);
    expect(server.requests.map(({ path, query }) => [path, query])).toEqual([
      ['/apis/apps/v1/namespaces/shop/replicasets', { labelSelector: 'app=web', limit: '500' }],
    ]);
  });

  it.each([
    ['a DaemonSet', aWorkload({ kind: 'DaemonSet' })],
    ['a Deployment that has nothing to select by', aWorkload({ podSelector: '' })],
  ])('of %s are not asked for', async (_, workload) => {
    expect(await client.listFormerTemplates(workload, signal)).toEqual([]);
    expect(server.requests).toEqual([]);
  });
});

describe('giving images back', () => {
  it('drops our entry, if it is still where it was, and touches nothing else', async () => {
    await client.releaseImages(aWorkload({ uid: 'u', ownFieldsAt: 2 }), signal);
    expect(server.requests).toMatchObject([
      {
        method: 'PATCH',
        path: '/apis/apps/v1/namespaces/shop/deployments/web',
        headers: { 'content-type': 'application/json-patch+json' },
        body: [
          { op: 'test', path: '/metadata/uid', value: 'u' },
          {
            op: 'test',
            path: '/metadata/managedFields/2/manager',
            value: 'backup-image-registry-controller',
          },
          { op: 'test', path: '/metadata/managedFields/2/operation', value: 'Update' },
          { op: 'remove', path: '/metadata/managedFields/2' },
        ],
      },
    ]);
  });

  it('is not done by a process that does not lead', async () => {
    mayWrite = false;
    await expect(client.releaseImages(aWorkload({ ownFieldsAt: 0 }), signal)).rejects.toThrow(NotLeaderError);
    expect(server.requests).toEqual([]);
  });

  it.each([
    ['meets a list that has changed', 422, ConflictError],
    ['meets another writer', 409, ConflictError],
    ['finds the workload gone', 404, ConflictError],
    ['is forbidden', 403, WriteDeniedError],
    ['fails', 500, ApiError],
  ])('%s: a decision for the caller', async (_, code, expected) => {
    server.answer = (__, response) => answerStatus(response, code);
    await expect(client.releaseImages(aWorkload({ ownFieldsAt: 0 }), signal)).rejects.toThrow(expected);
  });
});
